-- name: recipients
SELECT recipients, periods, restatements, changed_at, changed_by FROM statement_recipients WHERE tenant = $1

-- name: set_recipients
INSERT INTO statement_recipients (tenant, recipients, periods, restatements, changed_at, changed_by)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (tenant) DO UPDATE SET recipients = excluded.recipients, periods = excluded.periods,
  restatements = excluded.restatements, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: drop_recipients
DELETE FROM statement_recipients WHERE tenant = $1

-- name: sendings
-- Newest first.
SELECT sending_id, month, revision, recipient, message_key, status, attempts, created_at, next_attempt_at, first_try_at,
       handed_at, repeats, finished_at, last_status, last_reason, last_answer, resent_at, resent_by
FROM statement_sendings WHERE tenant = $1 AND ($3::bigint IS NULL OR sending_id = $3)
ORDER BY sending_id DESC LIMIT $2

-- name: resend
-- What was given up is pending anew.
UPDATE statement_sendings
SET status = 'pending', finished_at = NULL, attempts = 0, claimed_until = NULL, first_try_at = NULL, next_attempt_at = $3,
    resent_at = $3, resent_by = $4
WHERE tenant = $1 AND sending_id = $2 AND status = 'parked' RETURNING sending_id

-- name: queues
-- Those in which something is due and free, with the troubles of their receivers.
SELECT s.tenant, s.receiver, coalesce(r.failures, 0) AS failures, r.failed_at, r.asked_until
FROM (SELECT DISTINCT tenant, receiver FROM statement_sendings
      WHERE status = 'pending' AND next_attempt_at <= $1 AND (claimed_until IS NULL OR claimed_until <= $1)) s
LEFT JOIN receiver_troubles r USING (tenant, receiver)

-- name: claim
-- As many of each queue as were granted. A revision waits for those before it.
WITH granted AS (
  SELECT * FROM unnest($2::bigint[], $3::text[], $4::int[]) WITH ORDINALITY AS g(tenant, receiver, count, turn)
), chosen AS (
  SELECT s.sending_id FROM granted g CROSS JOIN LATERAL (
    SELECT f.sending_id FROM statement_sendings f
    WHERE f.tenant = g.tenant AND f.receiver = g.receiver AND f.status = 'pending' AND f.next_attempt_at <= $1
      AND (f.claimed_until IS NULL OR f.claimed_until <= $1)
      AND NOT EXISTS (
        SELECT FROM statement_sendings e
        WHERE e.tenant = f.tenant AND e.month = f.month AND e.recipient = f.recipient AND e.status = 'pending'
          AND e.revision < f.revision)
    ORDER BY f.next_attempt_at, f.sending_id LIMIT g.count
  ) free JOIN statement_sendings s USING (sending_id)
  WHERE s.status = 'pending' AND (s.claimed_until IS NULL OR s.claimed_until <= $1)
  FOR UPDATE OF s SKIP LOCKED
)
UPDATE statement_sendings s SET claimed_until = $5, first_try_at = coalesce(s.first_try_at, $1)
FROM chosen, tenants t
WHERE s.sending_id = chosen.sending_id AND t.id = s.tenant
RETURNING s.sending_id, s.claimed_until, s.message_key, s.tenant, t.tenant_id, s.month, s.revision, s.recipient, s.receiver,
          s.attempts, s.created_at, s.first_try_at,
          coalesce((SELECT failures FROM receiver_troubles r WHERE r.tenant = s.tenant AND r.receiver = s.receiver), 0)
            AS receiver_failures

-- name: hand_over
-- By the holder of the claim (until $2) only, and while it holds: nobody else gives the server the message meanwhile.
UPDATE statement_sendings SET handed_at = $3, repeats = repeats + (handed_at IS NOT NULL)::int
WHERE sending_id = $1 AND status = 'pending' AND claimed_until = $2 AND claimed_until > $3
RETURNING sending_id

-- name: not_taken
-- The server said that it did not take it.
UPDATE statement_sendings SET handed_at = NULL WHERE sending_id = $1 AND status = 'pending' AND claimed_until = $2

-- name: record_final
-- What was sent is sent, whoever sent it; given up is it by the holder of the claim (until $7) only.
UPDATE statement_sendings
SET status = $2, finished_at = $3, attempts = attempts + 1, claimed_until = NULL, last_status = $4, last_reason = $5,
    last_answer = $6, handed_at = CASE WHEN $2 = 'sent' THEN NULL ELSE handed_at END
WHERE sending_id = $1 AND status = 'pending' AND ($2 = 'sent' OR claimed_until = $7)

-- name: record_retry
-- By the holder of the claim (until $7) only.
UPDATE statement_sendings
SET next_attempt_at = $2, attempts = attempts + 1, claimed_until = NULL, last_status = $3, last_reason = $4, last_answer = $5
WHERE sending_id = $1 AND status = 'pending' AND attempts <= $6 AND claimed_until = $7
