-- Reserved within this change: alert_history.
SELECT 1;
