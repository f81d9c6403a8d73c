-- Reserved within this change: request_slis.
SELECT 1;
