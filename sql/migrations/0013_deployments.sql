-- Reserved within this change: deployments.
SELECT 1;
