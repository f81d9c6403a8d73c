-- name: of_tenant
SELECT generation, salt, shown_at, shown_to, signs_until FROM webhook_keys WHERE tenant = $1 ORDER BY generation DESC

-- name: show_first
INSERT INTO webhook_keys (tenant, generation, salt, shown_at, shown_to) VALUES ($1, 0, '', $2, $3)
ON CONFLICT DO NOTHING RETURNING generation

-- name: lock_tenant
-- Two rotations of a tenant come one after the other.
SELECT id FROM tenants WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE

-- name: still_signing
SELECT count(*) FROM webhook_keys WHERE tenant = $1 AND (signs_until IS NULL OR signs_until > $2)

-- name: end_older
UPDATE webhook_keys SET signs_until = least(coalesce(signs_until, 'infinity'), $2) WHERE tenant = $1

-- name: insert
INSERT INTO webhook_keys (tenant, generation, salt, shown_at, shown_to)
SELECT $1, max(generation) + 1, $2, $3, $4 FROM webhook_keys WHERE tenant = $1 RETURNING generation

-- name: forget
-- The record of who was given which key is bounded: somebody may rotate in a loop.
DELETE FROM webhook_keys
WHERE tenant = $1 AND signs_until <= $2
  AND generation < (SELECT max(generation) - $3 FROM webhook_keys WHERE tenant = $1)
