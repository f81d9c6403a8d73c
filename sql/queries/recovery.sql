-- name: lock_tenants
-- Two alerts about one tenant at once come one after the other.
SELECT id, tenant_id FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL
ORDER BY id FOR NO KEY UPDATE

-- name: begin
-- Of several alerts about one tenant the first begins an incident and the others join it, as all do beside one under
-- way. An alert that was seen before does nothing, unless its incident is over, it was not resolved, and the tenant
-- has gone down again since by our own evidence: then it is a new outage under the same alert.
-- What waits for its next look is looked at now. The tenants are locked.
WITH down_again AS MATERIALIZED (  -- once per tenant, however many alerts
  SELECT h.tenant FROM availability_heads h
  WHERE h.tenant = ANY($2) AND h.state = 'down'
    AND h.last_observed_at + h.holds + make_interval(secs => {behind head=h present=$7::timestamptz}) > $7
    AND NOT EXISTS (SELECT FROM recoveries r WHERE r.tenant = h.tenant AND r.ended_at IS NULL)
    AND h.since > (SELECT max(r.ended_at) FROM recoveries r WHERE r.tenant = h.tenant AND r.state <> 'joined')
), fresh AS (
  SELECT x.*, first_value(x.recovery_id) OVER placed AS first_id, row_number() OVER placed > 1 AS follows,
         (SELECT r.recovery_id FROM recoveries r
          WHERE r.tenant = x.tenant AND r.state IN ('checking', 'doubted', 'restarting', 'waiting')) AS under_way
  FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::timestamptz[]) WITH ORDINALITY
       AS x (recovery_id, tenant, alert_name, severity, fingerprint, starts_at, place)
  WHERE NOT EXISTS (SELECT FROM recoveries r
                    WHERE r.tenant = x.tenant AND r.fingerprint = x.fingerprint AND r.alert_starts_at = x.starts_at)
     OR (x.tenant IN (SELECT tenant FROM down_again)
         AND NOT EXISTS (SELECT FROM external_alerts e
                         WHERE e.tenant = x.tenant AND e.fingerprint = x.fingerprint AND e.starts_at = x.starts_at
                           AND e.status = 'resolved'))
  WINDOW placed AS (PARTITION BY x.tenant ORDER BY x.place)
), begun AS (
  INSERT INTO recoveries (recovery_id, tenant, alert_name, severity, fingerprint, alert_starts_at, state, reason, due_at,
                          created_at, updated_at, ended_at, joined_to)
  SELECT recovery_id, tenant, alert_name, severity, fingerprint, starts_at, CASE WHEN joins THEN 'joined' ELSE 'checking' END,
         CASE WHEN joins THEN 'recovery_under_way' ELSE 'alerted' END, CASE WHEN joins THEN NULL ELSE $7::timestamptz END,
         $7, $7, CASE WHEN joins THEN $7::timestamptz END, CASE WHEN joins THEN coalesce(under_way, first_id) END
  FROM fresh CROSS JOIN LATERAL (SELECT follows OR under_way IS NOT NULL AS joins) AS j
  RETURNING tenant, state
), looked_at AS (
  UPDATE recoveries r SET due_at = $7
  WHERE r.tenant = ANY($2) AND r.state IN ('doubted', 'escalated') AND r.due_at > $7
)
SELECT tenant, state FROM begun

-- name: is_due
-- Whether there is something to claim: read far more often than there is, and outside of a leader's transaction.
SELECT EXISTS (SELECT FROM recoveries WHERE due_at <= $1 AND (claimed_until IS NULL OR claimed_until <= $1))

-- name: claim
-- What is due and free, of live tenants.
WITH chosen AS (
  SELECT r.recovery_id FROM recoveries r JOIN tenants t ON t.id = r.tenant
  WHERE r.due_at <= $1 AND (r.claimed_until IS NULL OR r.claimed_until <= $1) AND t.deleted_at IS NULL
  ORDER BY r.due_at, r.created_at, r.recovery_id LIMIT $2 FOR UPDATE OF r SKIP LOCKED
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
SET state = $4, reason = $5, detail = $6, due_at = $7, claimed_until = CASE WHEN $12 THEN claimed_until END,
    updated_at = $8, joined_to = $11,
    restarted_at = coalesce(restarted_at, $9), restarted = coalesce(restarted, $10),
    escalated_at = CASE WHEN $4 = 'escalated' THEN coalesce(escalated_at, $8::timestamptz) ELSE escalated_at END,
    ended_at = CASE WHEN $4 IN ('recovered', 'closed', 'joined') THEN coalesce($13, $8::timestamptz) END
WHERE recovery_id = $1 AND claimed_until = $2 AND state = $3
RETURNING *

-- name: insert_event
INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, reason, message,
                          body)
VALUES ($1, $2, $2, $3, $4, 'recovery', $5, $6, $7, $8, $9, $10)
RETURNING event_id

-- name: circumstances
-- Of the incident $2: whether every alert of it was withdrawn, and the fingerprints of those that were not (of its own
-- alert and the newest 100 that joined). `resolved` counts whichever start it names: Alertmanager keeps the earliest
-- only in memory. A start that lay ahead is compared by when it was received.
WITH told AS (
  (SELECT fingerprint, alert_starts_at, created_at FROM recoveries WHERE tenant = $1 AND recovery_id = $2)
  UNION ALL
  (SELECT fingerprint, alert_starts_at, created_at FROM recoveries WHERE tenant = $1 AND joined_to = $2
   ORDER BY created_at DESC LIMIT 100)
), alerts AS (
  SELECT t.*, EXISTS (
    SELECT FROM external_alerts e
    WHERE e.tenant = $1 AND e.fingerprint = t.fingerprint AND e.status = 'resolved'
      AND (e.starts_at = t.alert_starts_at
           OR CASE WHEN t.alert_starts_at > t.created_at THEN e.received_at > t.created_at
                   ELSE coalesce(e.ends_at, e.received_at) >= t.alert_starts_at END)) AS resolved
  FROM told t
)
SELECT (SELECT bool_and(resolved) FROM alerts) AS resolved,
       ARRAY(SELECT DISTINCT fingerprint FROM alerts WHERE NOT resolved) AS fingerprints,
       f.fingerprint AS firing, f.alert_starts_at AS firing_since,
       (SELECT count(*) FROM recoveries WHERE tenant = $1 AND restart_at > $3 AND recovery_id <> $2) AS restarts,
       (SELECT last_observed_at FROM availability_heads WHERE tenant = $1) AS observed_at,
       b.recovery_id AS beside, b.due_at <= $4 AS beside_due
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
  SELECT recovery_id, due_at FROM recoveries
  WHERE tenant = $1 AND state = 'escalated' AND ended_at IS NULL AND recovery_id <> $2 ORDER BY created_at DESC LIMIT 1
) AS b ON true LEFT JOIN LATERAL (
  SELECT fingerprint, alert_starts_at FROM alerts WHERE NOT resolved ORDER BY created_at DESC LIMIT 1
) AS f ON true

-- name: of_tenant
SELECT r.*, t.tenant_id FROM recoveries r JOIN tenants t ON t.id = r.tenant
WHERE r.tenant = $1 ORDER BY r.created_at DESC, r.recovery_id LIMIT $2

-- name: forget
DELETE FROM recoveries WHERE updated_at < $1 AND due_at IS NULL

-- name: between
-- What was going on at some time in [$2, $3], the newest $4, with the number of alerts that joined each.
SELECT r.*, t.tenant_id, (SELECT count(*) FROM recoveries j WHERE j.tenant = $1 AND j.joined_to = r.recovery_id) AS joined
FROM recoveries r JOIN tenants t ON t.id = r.tenant
WHERE r.tenant = $1 AND r.state <> 'joined' AND r.created_at <= $3 AND (r.ended_at IS NULL OR r.ended_at >= $2)
ORDER BY r.created_at DESC, r.recovery_id LIMIT $4
