-- name: lock_tenants
-- Two alerts about one tenant at once come one after the other.
SELECT id, tenant_id FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL
ORDER BY id FOR NO KEY UPDATE

-- name: begin
-- Of several alerts about one tenant the first begins a recovery and the others join it. The tenants are locked.
INSERT INTO recoveries (recovery_id, tenant, alert_name, severity, fingerprint, alert_starts_at, state, reason, due_at,
                        created_at, updated_at, ended_at)
SELECT recovery_id, tenant, alert_name, severity, fingerprint, starts_at, CASE WHEN joins THEN 'joined' ELSE 'restarting' END,
       CASE WHEN joins THEN 'recovery_under_way' ELSE 'alerted' END, CASE WHEN joins THEN NULL ELSE $7::timestamptz END, $7, $7,
       CASE WHEN joins THEN $7::timestamptz END
FROM (
  SELECT x.*, row_number() OVER (PARTITION BY x.tenant ORDER BY x.place) > 1
              OR EXISTS (SELECT FROM recoveries r WHERE r.tenant = x.tenant AND r.state IN ('restarting', 'waiting')) AS joins
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) WITH ORDINALITY
       AS x (recovery_id, tenant, alert_name, severity, fingerprint, starts_at, place)
  WHERE NOT EXISTS (SELECT FROM recoveries r
                    WHERE r.tenant = x.tenant AND r.fingerprint = x.fingerprint AND r.alert_starts_at = x.starts_at)
) AS fresh
RETURNING tenant, state

-- name: claim
-- What is due and free, of live tenants.
WITH chosen AS (
  SELECT r.recovery_id FROM recoveries r JOIN tenants t ON t.id = r.tenant
  WHERE r.due_at <= $1 AND (r.claimed_until IS NULL OR r.claimed_until <= $1) AND t.deleted_at IS NULL
  ORDER BY r.due_at, r.recovery_id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
)
UPDATE recoveries r SET claimed_until = $3
FROM chosen, tenants t WHERE r.recovery_id = chosen.recovery_id AND t.id = r.tenant
RETURNING r.*, t.tenant_id

-- name: mark_restart
-- The stamp stays over repeated tries. Nothing when the claim was lost.
UPDATE recoveries SET restart_at = coalesce(restart_at, $3), tries = tries + 1, updated_at = $3
WHERE recovery_id = $1 AND claimed_until = $2 AND state = 'restarting'
RETURNING *

-- name: advance
UPDATE recoveries
SET state = $4, reason = $5, detail = $6, due_at = $7, claimed_until = NULL, updated_at = $8,
    restarted_at = coalesce(restarted_at, $9), restarted = coalesce(restarted, $10),
    escalated_at = CASE WHEN $4 = 'escalated' THEN coalesce(escalated_at, $8::timestamptz) ELSE escalated_at END,
    ended_at = CASE WHEN $4 = 'recovered' THEN $8::timestamptz END
WHERE recovery_id = $1 AND claimed_until = $2 AND state = $3
RETURNING *

-- name: insert_event
INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, reason, message,
                          body)
VALUES ($1, $2, $2, $3, $4, 'recovery', $5, $6, $7, $8, $9, $10)
RETURNING event_id

-- name: restarts_since
SELECT count(*) FROM recoveries WHERE tenant = $1 AND restart_at > $2 AND recovery_id <> $3

-- name: alert_resolved
SELECT EXISTS (SELECT FROM external_alerts
               WHERE tenant = $1 AND fingerprint = $2 AND starts_at = $3 AND status = 'resolved')

-- name: of_tenant
SELECT r.*, t.tenant_id FROM recoveries r JOIN tenants t ON t.id = r.tenant
WHERE r.tenant = $1 ORDER BY r.created_at DESC, r.recovery_id LIMIT $2

-- name: forget
DELETE FROM recoveries WHERE updated_at < $1 AND due_at IS NULL
