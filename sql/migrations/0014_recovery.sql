-- Reserved within this change: recovery.
SELECT 1;
