-- name: revisions
SELECT revision, closed_at, digest, document -> 'contract' AS contract, document::text AS document, changes FROM statements
WHERE tenant = $1 AND month = $2 ORDER BY revision

-- name: close
-- Two processes that close at once make one revision.
INSERT INTO statements (tenant, month, revision, closed_at, digest, document, changes)
VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb)
ON CONFLICT (tenant, month, revision) DO NOTHING

-- name: digests
-- Of the newest revisions of those of $2 that are closed.
SELECT DISTINCT ON (month) month, digest FROM statements
WHERE tenant = $1 AND month = ANY($2::text[]) ORDER BY month, revision DESC

-- name: closed_months
-- Of every live tenant, for the job that looks for late changes; quarters and years as well.
SELECT DISTINCT t.tenant_id, s.month FROM statements s JOIN tenants t ON t.id = s.tenant
WHERE t.deleted_at IS NULL
