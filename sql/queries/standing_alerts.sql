-- name: firing
-- Of all tenants, for Alertmanager. A rule that flaps has an alert until it calms.
SELECT r.rule_id::text AS rule_id, t.tenant_id, r.alert_name, r.severity, r.objective, r.condition, s.value,
       coalesce((SELECT min(e.at) FROM alert_events e WHERE e.alert_id = s.alert_id AND e.to_state = 'firing'), s.since) AS starts_at
FROM alert_states s JOIN alert_rules r USING (rule_id) JOIN tenants t ON t.id = r.tenant
WHERE t.deleted_at IS NULL AND (s.status = 'firing' OR s.flaps->>'since' IS NOT NULL) AND s.since IS NOT NULL

-- name: ended
-- Since $1, of all tenants: each alert's last end. Its rule may be gone, or fire anew.
SELECT DISTINCT ON (e.rule_id, e.alert_name, e.severity, e.objective)
       e.rule_id::text AS rule_id, t.tenant_id, e.alert_name, e.severity, e.objective, e.at AS ends_at,
       (SELECT min(b.at) FROM alert_events b WHERE b.alert_id = e.alert_id AND b.to_state = 'firing') AS starts_at
FROM alert_events e JOIN tenants t ON t.id = e.tenant
WHERE e.at > $1 AND e.to_state <> 'firing' AND (e.from_state = 'firing' OR e.reason = 'calmed') AND t.deleted_at IS NULL
ORDER BY e.rule_id, e.alert_name, e.severity, e.objective, e.event_id DESC

-- name: silences
-- Of the live tenants $1, those that have not ended at $2.
SELECT t.tenant_id, s.silence_id, s.rule_id, s.alert_names, s.severities, s.starts_at, s.duration, s.rrule, s.time_zone, s.reason,
       s.created_by, s.created_at, s.ends_at, s.ended_by
FROM silences s JOIN tenants t ON t.id = s.tenant
WHERE t.tenant_id = ANY($1::text[]) AND t.deleted_at IS NULL AND (s.ends_at IS NULL OR s.ends_at > $2)
ORDER BY s.tenant, s.created_at, s.silence_id
