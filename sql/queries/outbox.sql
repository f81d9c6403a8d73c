-- name: lock_pace
-- The notifications of a tenant are put in one transaction after the other.
INSERT INTO notification_rates (tenant, receiver, busy_until) VALUES ($1, '', $2)
ON CONFLICT (tenant, receiver) DO UPDATE SET busy_until = notification_rates.busy_until
RETURNING busy_until

-- name: places
-- What waits per action for news of rule $3, in the order of the actions; at most $4 are counted. `covering`: the newest
-- that tells about the rule, `newest`: the newest, if it tells about fewer than $5 others.
SELECT p.receiver, r.busy_until, w.*
FROM unnest($2::jsonb[]) WITH ORDINALITY AS a(action, turn)
CROSS JOIN LATERAL (SELECT notification_receiver(a.action) AS receiver, md5(a.action::text) AS endpoint) p
LEFT JOIN notification_rates r ON r.tenant = $1 AND r.receiver = p.receiver
CROSS JOIN LATERAL (
  SELECT count(*) AS waiting, max(notification_id) FILTER (WHERE $3 = ANY(rule_id || merged_rules)) AS covering,
         max(notification_id) FILTER (WHERE place = 1 AND cardinality(merged_rules) < $5) AS newest
  FROM (SELECT notification_id, rule_id, merged_rules, row_number() OVER (ORDER BY notification_id DESC) AS place
        FROM notifications n WHERE n.tenant = $1 AND n.endpoint = p.endpoint AND n.status = 'pending'
        ORDER BY notification_id DESC LIMIT $4) n
) w
ORDER BY a.turn

-- name: lock_open
-- Those that nobody has been given yet, so that they may still become more; nobody is given them until the end of the
-- transaction.
SELECT notification_id FROM notifications
WHERE tenant = $1 AND notification_id = ANY($2) AND status = 'pending' AND attempts = 0 AND claimed_until IS NULL
  AND resent_at IS NULL
ORDER BY notification_id FOR UPDATE SKIP LOCKED

-- name: put
-- With the paces $8 and $9 that follow from it.
WITH paced AS (
  INSERT INTO notification_rates (tenant, receiver, busy_until)
  SELECT $1, r.receiver, r.busy_until FROM unnest($8::text[], $9::timestamptz[]) AS r(receiver, busy_until)
  ON CONFLICT (tenant, receiver) DO UPDATE SET busy_until = EXCLUDED.busy_until
)
INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, action, created_at, next_attempt_at)
SELECT k.key, $1, $2, $3, k.action, $4, k.due
FROM unnest($5::uuid[], $6::jsonb[], $7::timestamptz[]) AS k(key, action, due)
ON CONFLICT (tenant, idempotency_key) DO NOTHING

-- name: merge
WITH told AS (
  UPDATE notifications SET merged_rules = CASE WHEN $3 = ANY(merged_rules) THEN merged_rules ELSE merged_rules || $3::uuid END
  WHERE tenant = $1 AND notification_id = ANY($2) RETURNING notification_id
)
INSERT INTO notification_merges (tenant, notification_id, event_id) SELECT $1, notification_id, $4 FROM told
ON CONFLICT DO NOTHING

-- name: queues
-- Of every tenant, each receiver for which something is due and free: found by jumping from queue to queue, so that it
-- costs nothing that there is much in one of them.
WITH RECURSIVE found AS (
  (SELECT tenant, receiver FROM notifications WHERE status = 'pending' ORDER BY tenant, receiver LIMIT 1)
  UNION ALL
  SELECT n.tenant, n.receiver FROM found f CROSS JOIN LATERAL (
    SELECT tenant, receiver FROM notifications
    WHERE status = 'pending' AND (tenant, receiver) > (f.tenant, f.receiver) ORDER BY tenant, receiver LIMIT 1
  ) n
)
SELECT f.tenant, f.receiver, coalesce(r.failures, 0) AS failures, r.failed_at, r.asked_until
FROM found f LEFT JOIN receiver_troubles r USING (tenant, receiver)
WHERE EXISTS (SELECT FROM notifications n
              WHERE n.tenant = f.tenant AND n.receiver = f.receiver AND n.status = 'pending' AND n.next_attempt_at <= $1
                AND (n.claimed_until IS NULL OR n.claimed_until <= $1))

-- name: claim
-- As many of each queue as were granted, the longest due first. One has to wait while an earlier one tells about a rule
-- of its own to the same endpoint. Of a queue only what is due first is looked at, so that a long one costs no more. With $7
-- nothing of those whose receiver is in trouble.
WITH granted AS (
  SELECT * FROM unnest($2::bigint[], $3::text[], $4::int[]) WITH ORDINALITY AS g(tenant, receiver, count, turn)
), chosen AS (
  SELECT n.notification_id FROM granted g CROSS JOIN LATERAL (
    SELECT first.notification_id FROM (
      SELECT notification_id, tenant, endpoint, rule_id || merged_rules AS rules FROM notifications
      WHERE tenant = g.tenant AND receiver = g.receiver AND status = 'pending' AND next_attempt_at <= $1
        AND (claimed_until IS NULL OR claimed_until <= $1)
      ORDER BY next_attempt_at, notification_id LIMIT $6
    ) first
    WHERE NOT EXISTS (
      SELECT FROM notifications e
      WHERE e.tenant = first.tenant AND e.endpoint = first.endpoint AND e.status = 'pending'
        AND e.notification_id < first.notification_id AND (e.rule_id || e.merged_rules) && first.rules)
      AND NOT ($7 AND EXISTS (SELECT FROM receiver_troubles r WHERE r.tenant = g.tenant AND r.receiver = g.receiver))
    LIMIT g.count
  ) free JOIN notifications n USING (notification_id)
  WHERE n.status = 'pending' AND (n.claimed_until IS NULL OR n.claimed_until <= $1)
  FOR UPDATE OF n SKIP LOCKED
)
UPDATE notifications n SET claimed_until = $5
FROM chosen, alert_events e, tenants t
WHERE n.notification_id = chosen.notification_id AND e.tenant = n.tenant AND e.event_id = n.event_id AND t.id = n.tenant
RETURNING n.notification_id, n.claimed_until, n.idempotency_key, n.tenant, t.tenant_id, n.rule_id, e.alert_name, n.action, n.receiver,
          coalesce(n.payload, e.body) AS payload, n.attempts, coalesce(n.resent_at, n.created_at) AS created_at,
          cardinality(n.merged_rules) > 0 AS merged,
          coalesce((SELECT failures FROM receiver_troubles r WHERE r.tenant = n.tenant AND r.receiver = n.receiver), 0)
            AS receiver_failures

-- name: merged_bodies
-- What merged notifications tell: of every alert its last state. There is room for $2 alerts: first those that a receiver
-- would otherwise take for standing (they began before) or never hear of (the last of their rule), then the newest.
WITH told AS (
  SELECT n.notification_id, n.tenant, n.event_id FROM notifications n WHERE n.notification_id = ANY($1)
  UNION ALL
  SELECT m.notification_id, m.tenant, m.event_id
  FROM notifications n JOIN notification_merges m USING (tenant, notification_id) WHERE n.notification_id = ANY($1)
), last AS (
  SELECT DISTINCT ON (t.notification_id, e.alert_id) t.notification_id, e.tenant, e.event_id, e.rule_id,
         bool_or(e.to_state = 'firing') OVER (PARTITION BY t.notification_id, e.alert_id) AS begun
  FROM told t JOIN alert_events e USING (tenant, event_id)
  ORDER BY t.notification_id, e.alert_id, e.event_id DESC
), needed AS (
  SELECT *, NOT begun OR event_id = max(event_id) OVER (PARTITION BY notification_id, rule_id) AS needed,
         count(*) OVER (PARTITION BY notification_id) AS alerts
  FROM last
), placed AS (
  SELECT *, row_number() OVER (PARTITION BY notification_id ORDER BY needed DESC, event_id DESC) AS place FROM needed
)
SELECT p.notification_id, coalesce(e.body, n.payload) AS body, p.alerts
FROM placed p JOIN alert_events e USING (tenant, event_id) JOIN notifications n ON n.notification_id = p.notification_id
WHERE p.place <= $2 ORDER BY p.notification_id, p.event_id

-- name: record_final
-- What was sent is sent, whoever sent it; given up is it by the holder of the claim (until $7) only.
UPDATE notifications
SET status = $2, finished_at = $3, attempts = attempts + 1, claimed_until = NULL, last_status = $4, last_reason = $5,
    last_answer = $6
WHERE notification_id = $1 AND status = 'pending' AND ($2 = 'sent' OR $7::timestamptz IS NULL OR claimed_until = $7)

-- name: record_retry
-- By the holder of the claim (until $7) only: it must not free what another one is about to send.
UPDATE notifications
SET next_attempt_at = $2, attempts = attempts + 1, claimed_until = NULL, last_status = $3, last_reason = $4, last_answer = $5
WHERE notification_id = $1 AND status = 'pending' AND attempts <= $6 AND ($7::timestamptz IS NULL OR claimed_until = $7)

-- name: receiver_failed
INSERT INTO receiver_troubles (tenant, receiver, failures, failed_at, asked_until) VALUES ($1, $2, 1, $3, $4)
ON CONFLICT (tenant, receiver) DO UPDATE
SET failures = receiver_troubles.failures + 1, failed_at = EXCLUDED.failed_at, asked_until = EXCLUDED.asked_until

-- name: receiver_well
DELETE FROM receiver_troubles WHERE tenant = $1 AND receiver = $2

-- name: queue
-- Two counts, each by its partial index: what was sent is never read.
SELECT (SELECT count(*) FROM notifications WHERE status = 'pending') AS pending,
       (SELECT count(*) FROM notifications WHERE status = 'parked') AS parked

-- name: deliveries
-- Newest first, with the first $3 of what was merged into each.
SELECT n.notification_id, n.idempotency_key, n.rule_id, e.alert_name, e.to_state, n.action, n.status, n.attempts, n.created_at,
       n.next_attempt_at, n.finished_at, n.last_status, n.last_reason, n.last_answer,
       (SELECT count(*) FROM notification_merges m WHERE m.tenant = n.tenant AND m.notification_id = n.notification_id)
         AS merged_count,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.event_id), '[]') FROM (
          SELECT o.event_id, o.rule_id, o.alert_name, o.to_state, o.at
          FROM notification_merges m JOIN alert_events o USING (tenant, event_id)
          WHERE m.tenant = n.tenant AND m.notification_id = n.notification_id ORDER BY m.event_id LIMIT $3) x) AS merged,
       (SELECT coalesce(jsonb_agg(to_jsonb(x) ORDER BY x.at), '[]') FROM (
          SELECT s.resent_at AS at, s.resent_by AS by, s.note, s.attempts, s.last_status, s.last_reason, s.last_answer
          FROM notification_resends s
          WHERE s.tenant = n.tenant AND s.notification_id = n.notification_id) x) AS resends
FROM notifications n JOIN alert_events e USING (tenant, event_id)
WHERE n.tenant = $1 AND ($4::bigint IS NULL OR n.notification_id = $4)
ORDER BY n.notification_id DESC LIMIT $2

-- name: resend
-- What was given up is pending anew, as if it had just been made; how it had ended stays on record.
WITH parked AS (
  SELECT * FROM notifications WHERE tenant = $1 AND notification_id = $2 AND status = 'parked'
    AND (SELECT count(*) FROM notification_resends s WHERE s.tenant = $1 AND s.notification_id = $2) < $6
  FOR UPDATE
), noted AS (
  INSERT INTO notification_resends (tenant, notification_id, resent_at, resent_by, note, attempts, last_status, last_reason,
                                    last_answer)
  SELECT tenant, notification_id, $3, $4, $5, attempts, last_status, last_reason, last_answer FROM parked
)
UPDATE notifications n
SET status = 'pending', finished_at = NULL, attempts = 0, claimed_until = NULL, next_attempt_at = $3, resent_at = $3
FROM parked WHERE n.notification_id = parked.notification_id
-- The worker that delivers need not have been asked.
RETURNING n.notification_id, bus_tell('', 'alert', ARRAY[n.tenant], '{}')

-- name: forget_paces
DELETE FROM notification_rates WHERE busy_until < $1

-- name: forget_troubles
DELETE FROM receiver_troubles WHERE failed_at < $1
