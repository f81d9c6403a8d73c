-- part: silence
s.silence_id, s.rule_id, s.alert_names, s.severities, s.starts_at, s.duration, s.rrule, s.time_zone, s.reason, s.created_by,
s.created_at, s.ends_at, s.ended_by

-- name: held
-- How many each of the tenants $1 has that have not ended; those that have as many as $3.
SELECT t.tenant_id FROM tenants t
WHERE t.id = ANY($1::bigint[])
  AND (SELECT count(*) FROM silences s WHERE s.tenant = t.id AND (s.ends_at IS NULL OR s.ends_at > $2)) >= $3
ORDER BY t.id

-- name: insert
-- For those of the tenants $1 that there are.
WITH live AS (
  SELECT id, tenant_id FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id FOR KEY SHARE
), made AS (
  INSERT INTO silences (tenant, silence_id, rule_id, alert_names, severities, starts_at, duration, rrule, time_zone, reason,
                        created_by, created_at, ends_at)
  SELECT l.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM live l
)
SELECT id, tenant_id FROM live ORDER BY id

-- name: page
-- Of the tenants $1, the newest first; with $3 those as well that were over at $2.
SELECT {silence}, array_agg(t.tenant_id ORDER BY t.tenant_id) AS tenant_ids
FROM silences s JOIN tenants t ON t.id = s.tenant
WHERE s.tenant = ANY($1::bigint[]) AND ($3 OR s.ends_at IS NULL OR s.ends_at > $2)
GROUP BY {silence} ORDER BY s.created_at DESC, s.silence_id, s.ends_at OFFSET $4 LIMIT $5

-- name: one
SELECT {silence}, array_agg(t.tenant_id ORDER BY t.tenant_id) AS tenant_ids
FROM silences s JOIN tenants t ON t.id = s.tenant
WHERE s.tenant = ANY($1::bigint[]) AND s.silence_id = $2
GROUP BY {silence} ORDER BY s.ends_at

-- name: end
-- For those of the tenants $1 for whom silence $2 has not ended at $3; one that has not begun is over as well.
WITH ended AS (
  UPDATE silences s SET ends_at = $3, ended_by = $4
  WHERE s.tenant = ANY($1::bigint[]) AND s.silence_id = $2 AND (s.ends_at IS NULL OR s.ends_at > $3) RETURNING s.tenant
)
SELECT t.id, t.tenant_id FROM ended JOIN tenants t ON t.id = ended.tenant ORDER BY t.id

-- name: live
SELECT t.tenant_id, {silence} FROM silences s JOIN tenants t ON t.id = s.tenant
WHERE s.tenant = ANY($1::bigint[]) AND (s.ends_at IS NULL OR s.ends_at > $2)
ORDER BY s.tenant, s.created_at, s.silence_id

-- name: of_rules
-- The silences that have not ended at $2 of the tenants whose rules $1 are.
SELECT t.tenant_id, {silence} FROM silences s JOIN tenants t ON t.id = s.tenant
WHERE s.tenant IN (SELECT r.tenant FROM alert_rules r WHERE r.rule_id = ANY($1::uuid[]))
  AND (s.ends_at IS NULL OR s.ends_at > $2)
ORDER BY s.tenant, s.created_at, s.silence_id

-- name: hushed
-- Of the rules $1 those in an alert that nobody was told of.
SELECT h.rule_id, h.alert_id, h.silence_id FROM alert_hushed h JOIN alert_rules r ON r.rule_id = h.rule_id AND r.tenant = h.tenant
WHERE h.rule_id = ANY($1::uuid[])

-- name: hush
INSERT INTO alert_hushed (tenant, rule_id, alert_id, silence_id, since)
SELECT r.tenant, x.rule_id, x.alert_id, x.silence_id, $4
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS x (rule_id, alert_id, silence_id) JOIN alert_rules r ON r.rule_id = x.rule_id
ON CONFLICT (tenant, rule_id) DO UPDATE
SET alert_id = EXCLUDED.alert_id, silence_id = EXCLUDED.silence_id, since = EXCLUDED.since

-- name: unhush
DELETE FROM alert_hushed h USING alert_rules r
WHERE r.rule_id = h.rule_id AND r.tenant = h.tenant AND h.rule_id = ANY($1::uuid[])

-- name: note
-- For which silences nobody was told of the events $1 of the rules $2.
UPDATE alert_events e SET silenced_by = x.silence_id
FROM unnest($1::bigint[], $2::uuid[], $3::uuid[]) AS x (event_id, rule_id, silence_id) JOIN alert_rules r ON r.rule_id = x.rule_id
WHERE e.tenant = r.tenant AND e.event_id = x.event_id

-- name: owed
-- Rules of live tenants that fire, and nobody was told.
SELECT r.*, t.tenant_id, s.status, s.since, s.pending_since, s.held, s.evaluated_at, s.value, s.frozen,
       s.frozen_since, s.alert_id, s.flaps
FROM alert_hushed h JOIN alert_rules r ON r.rule_id = h.rule_id AND r.tenant = h.tenant
JOIN alert_states s ON s.rule_id = r.rule_id AND s.alert_id = h.alert_id JOIN tenants t ON t.id = r.tenant
WHERE s.status = 'firing' AND t.deleted_at IS NULL
ORDER BY r.tenant, h.since, r.rule_id

-- name: forget
DELETE FROM silences WHERE ends_at < $1

-- name: forget_hushed
-- Of alerts that their rules have left, and of rules that are gone.
DELETE FROM alert_hushed h WHERE h.since < $1 AND NOT EXISTS (
  SELECT FROM alert_rules r JOIN alert_states s USING (rule_id)
  WHERE r.rule_id = h.rule_id AND r.tenant = h.tenant AND s.alert_id = h.alert_id)

-- name: tenant_of_rule
SELECT r.tenant FROM alert_rules r JOIN tenants t ON t.id = r.tenant WHERE r.rule_id = $1 AND t.tenant_id = $2
