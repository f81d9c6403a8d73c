-- name: insert
INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, rrule, time_zone, title, reason, created_by, created_at,
                         approved_by, occurrences, category, needs_approval, notice, token)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: held
-- What a tenant has planned: windows, and how often at most any is on within 93 days, from 93 days before $2 on. What was
-- entered before this was counted counts as daily.
SELECT count(*) AS windows, coalesce(sum(CASE
  WHEN rrule IS NULL THEN (starts_at + duration > $2::timestamptz - INTERVAL '93 days')::int
  WHEN ends_at < $2::timestamptz - INTERVAL '93 days' THEN 0
  ELSE coalesce(occurrences, 93) END), 0) AS occurrences
FROM maintenance WHERE tenant = $1 AND removed_at IS NULL

-- name: lock_tenant
SELECT FROM tenants WHERE id = $1 FOR NO KEY UPDATE

-- name: lock
SELECT * FROM maintenance WHERE tenant = $1 AND maintenance_id = $2 FOR UPDATE

-- name: of_tenant
SELECT * FROM maintenance WHERE tenant = $1 AND removed_at IS NULL ORDER BY starts_at, maintenance_id

-- name: of_tenants
SELECT * FROM maintenance WHERE tenant = ANY($1::bigint[]) AND removed_at IS NULL
ORDER BY tenant, starts_at, maintenance_id

-- name: withdrawn
SELECT * FROM maintenance WHERE tenant = $1 AND removed_at IS NOT NULL ORDER BY removed_at, maintenance_id

-- name: end
UPDATE maintenance SET ends_at = $3, ended_by = $4
WHERE tenant = $1 AND maintenance_id = $2 AND removed_at IS NULL AND rrule IS NOT NULL
  AND (ends_at IS NULL OR ends_at > $3) RETURNING maintenance_id

-- name: remove
UPDATE maintenance SET removed_at = $3, removed_by = $4
WHERE tenant = $1 AND maintenance_id = $2 AND removed_at IS NULL RETURNING maintenance_id

-- name: approve
UPDATE maintenance SET approver = $3, approved_at = $4 WHERE tenant = $1 AND maintenance_id = $2 AND removed_at IS NULL

-- name: lock_tenants
-- Those of them that there are.
SELECT id FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE

-- name: held_of
-- As `held`, of each of the tenants $1.
SELECT t.tenant, held.windows, held.occurrences
FROM unnest($1::bigint[]) AS t (tenant) CROSS JOIN LATERAL (
  SELECT count(*) AS windows, coalesce(sum(CASE
    WHEN m.rrule IS NULL THEN (m.starts_at + m.duration > $2::timestamptz - INTERVAL '93 days')::int
    WHEN m.ends_at < $2::timestamptz - INTERVAL '93 days' THEN 0
    ELSE coalesce(m.occurrences, 93) END), 0) AS occurrences
  FROM maintenance m WHERE m.tenant = t.tenant AND m.removed_at IS NULL) AS held

-- name: laid
-- On the tenants $1 by the request $2, taken back or not.
SELECT tenant, maintenance_id, removed_at IS NULL AS holds FROM maintenance WHERE tenant = ANY($1::bigint[]) AND laid_by = $2

-- name: lay
INSERT INTO maintenance (tenant, maintenance_id, starts_at, duration, rrule, time_zone, title, reason, created_by, created_at,
                         approved_by, occurrences, category, needs_approval, notice, token, laid_by)
SELECT x.tenant, x.maintenance_id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
FROM unnest($1::bigint[], $2::uuid[]) AS x (tenant, maintenance_id)

-- name: request
-- Nothing when there is one already.
INSERT INTO exclusion_requests (request, requested_at, requested_by, tenants, digest) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING

-- name: requested
SELECT requested_at, tenants, digest FROM exclusion_requests WHERE request = $1

-- name: withdraw_request
-- One that has laid nothing.
DELETE FROM exclusion_requests r
WHERE r.request = $1 AND NOT EXISTS (SELECT FROM maintenance m WHERE m.tenant = ANY(r.tenants) AND m.laid_by = $1)

-- name: forget_requests
DELETE FROM exclusion_requests WHERE requested_at < $1

-- name: lock_laid
SELECT * FROM maintenance WHERE tenant = ANY($1::bigint[]) AND laid_by = $2 AND removed_at IS NULL ORDER BY tenant FOR UPDATE

-- name: approve_laid
UPDATE maintenance SET approver = $3, approved_at = $4
WHERE tenant = ANY($1::bigint[]) AND laid_by = $2 AND removed_at IS NULL AND approved_at IS NULL

-- name: remove_laid
UPDATE maintenance SET removed_at = $4, removed_by = $3
WHERE tenant = ANY($1::bigint[]) AND laid_by = $2 AND removed_at IS NULL
