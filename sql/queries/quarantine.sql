-- name: held
-- Of live tenants, for the job that serves them all.
SELECT t.tenant_id, q.subject, q.next_at FROM quarantine q JOIN tenants t ON t.id = q.tenant
WHERE q.job = $1 AND t.deleted_at IS NULL

-- name: any
SELECT EXISTS (SELECT FROM quarantine WHERE job = $1)

-- name: note
-- Tried again after 15 s, then after twice as long each time, an hour at most. A clock that stepped back starts anew.
INSERT INTO quarantine AS q (tenant, job, subject, reason, first_at, last_at, next_at)
SELECT t.id, $1, x.subject, x.reason, $5, $5, $5::timestamptz + INTERVAL '15 seconds'
FROM unnest($2::text[], $3::text[], $4::text[]) AS x (tenant_id, subject, reason)
JOIN tenants t ON t.tenant_id = x.tenant_id AND t.deleted_at IS NULL
ORDER BY 1, 2, 3
ON CONFLICT (tenant, job, subject) DO UPDATE
SET reason = excluded.reason, first_at = least(q.first_at, excluded.last_at), last_at = excluded.last_at, tries = q.tries + 1,
    next_at = excluded.last_at + least(INTERVAL '15 seconds' * 2 ^ least(q.tries, 10), '1 hour')

-- name: note_numbers
-- The same by the numbers of the tenants, inside the transaction that goes on without them; also of tenants that are deleted.
INSERT INTO quarantine AS q (tenant, job, subject, reason, first_at, last_at, next_at)
SELECT t.id, $1, x.subject, x.reason, $5, $5, $5::timestamptz + INTERVAL '15 seconds'
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS x (tenant, subject, reason)
JOIN tenants t ON t.id = x.tenant
ORDER BY 1, 2, 3
ON CONFLICT (tenant, job, subject) DO UPDATE
SET reason = excluded.reason, first_at = least(q.first_at, excluded.last_at), last_at = excluded.last_at, tries = q.tries + 1,
    next_at = excluded.last_at + least(INTERVAL '15 seconds' * 2 ^ least(q.tries, 10), '1 hour')

-- name: heal
DELETE FROM quarantine q USING unnest($2::text[], $3::text[]) AS x (tenant_id, subject), tenants t
WHERE t.tenant_id = x.tenant_id AND q.tenant = t.id AND q.job = $1 AND q.subject = x.subject

-- name: of_tenant
SELECT job, subject, reason, first_at, last_at, tries, next_at FROM quarantine WHERE tenant = $1 ORDER BY first_at, job, subject

-- name: counts
-- Tenants per job, for the operators' metric.
SELECT q.job, count(DISTINCT q.tenant) AS tenants FROM quarantine q JOIN tenants t ON t.id = q.tenant
WHERE t.deleted_at IS NULL GROUP BY q.job

-- name: forget
-- What is quarantined is tried every hour: what nobody has tried since $1 is no longer there.
DELETE FROM quarantine WHERE last_at < $1
