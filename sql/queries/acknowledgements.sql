-- name: put
-- Of the alert $3 that rule $2 of tenant $1 is in, unless somebody has.
INSERT INTO alert_acknowledgements (tenant, rule_id, alert_id, said_by, at, note) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant, alert_id) DO NOTHING RETURNING alert_id

-- name: take_back
DELETE FROM alert_acknowledgements WHERE tenant = $1 AND alert_id = $2 RETURNING alert_id, said_by, at, note

-- name: standing
-- Of the alerts of tenant $1 that stand.
SELECT a.alert_id, a.said_by, a.at, a.note FROM alert_acknowledgements a JOIN alert_states s ON s.rule_id = a.rule_id
WHERE a.tenant = $1 AND s.alert_id = a.alert_id

-- name: forget
DELETE FROM alert_acknowledgements a
WHERE a.at < $1 AND NOT EXISTS (SELECT FROM alert_states s WHERE s.rule_id = a.rule_id AND s.alert_id = a.alert_id)
