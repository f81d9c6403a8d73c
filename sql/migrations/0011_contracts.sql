-- Reserved within this change: contracts.
SELECT 1;
