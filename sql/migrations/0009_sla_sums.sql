-- Reserved within this change: sla_sums.
SELECT 1;
