-- name: note
-- Of the source $1, from $5 to $6. What follows within $7 is the same stretch.
WITH told AS (
  SELECT t.id AS tenant, x.subject, x.reason FROM unnest($2::text[], $3::text[], $4::text[]) AS x (tenant_id, subject, reason)
  JOIN tenants t ON t.tenant_id = x.tenant_id AND t.deleted_at IS NULL
), extended AS (
  UPDATE evidence_faults f SET last_at = greatest(f.last_at, $6), reason = told.reason FROM told
  WHERE f.tenant = told.tenant AND f.source = $1 AND f.subject = told.subject
    AND f.last_at >= $5::timestamptz - $7::interval AND f.first_at <= $6
  RETURNING f.tenant, f.subject
)
INSERT INTO evidence_faults (tenant, source, subject, first_at, last_at, reason)
SELECT tenant, $1, subject, $5, $6, reason FROM told
WHERE NOT EXISTS (SELECT FROM extended e WHERE e.tenant = told.tenant AND e.subject = told.subject)
ON CONFLICT DO NOTHING

-- name: of_tenant
-- The newest first, those that end at $2 or later; 100 at most.
SELECT source, subject, first_at, last_at, reason FROM evidence_faults
WHERE tenant = $1 AND last_at >= $2 ORDER BY first_at DESC, subject LIMIT 100

-- name: forget
DELETE FROM evidence_faults WHERE last_at < $1
