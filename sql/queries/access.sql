-- name: find
SELECT name, roles, tenant_access FROM api_tokens
WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)

-- name: create
INSERT INTO api_tokens (name, token_hash, roles, tenant_access, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)

-- name: own_secret
WITH made AS (
  INSERT INTO secrets (name, value) VALUES ($1, $2)
  ON CONFLICT (name) DO UPDATE SET value = secrets.value RETURNING value)
SELECT value FROM made
