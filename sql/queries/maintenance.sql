-- name: insert
INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, rrule, time_zone, title, reason, created_by, created_at,
                         approved_by, occurrences)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)

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
