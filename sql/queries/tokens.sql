-- name: find
SELECT t.id, s.id AS secret, t.name, t.roles, t.all_tenants, t.may_create, held.tenants, held.names, held.live,
       least(t.expires_at, s.valid_until) AS expires_at
FROM token_secrets s
JOIN api_tokens t ON t.id = s.token
CROSS JOIN LATERAL (
  SELECT array_agg(x.id) AS tenants, array_agg(x.tenant_id) AS names,
         array_agg(x.tenant_id) FILTER (WHERE x.deleted_at IS NULL) AS live
  FROM token_grants g JOIN tenants x ON x.id = g.tenant WHERE g.token = t.id) AS held
WHERE s.hash = $1 AND (s.valid_until IS NULL OR s.valid_until > $2)
  AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)

-- name: standing
-- $1: numbers of secrets, $2: of tenants, in pairs; 0: all that the token may see, none in particular.
SELECT p.secret, p.tenant, t.roles,
       t.all_tenants OR p.tenant = 0 OR EXISTS (SELECT FROM token_grants g WHERE g.token = t.id AND g.tenant = p.tenant) AS holds
FROM unnest($1::bigint[], $2::bigint[]) AS p (secret, tenant)
JOIN token_secrets s ON s.id = p.secret AND (s.valid_until IS NULL OR s.valid_until > $3)
JOIN api_tokens t ON t.id = s.token AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $3)

-- name: grantable
-- Locked until the token is there: a tenant cannot be deleted meanwhile, and tokens of one tenant are counted one by one.
SELECT id, tenant_id FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL
ORDER BY id FOR NO KEY UPDATE

-- name: fullest
-- Of the tenants $1 the one with the most tokens at $2, and the one with the most new ones since $3; those that hold
-- every tenant are not counted.
SELECT valid.tenant_id AS full_tenant, valid.count AS valid, fresh.tenant_id AS busy_tenant, fresh.count AS fresh
FROM (
  SELECT x.tenant_id, count(*) FILTER (
           WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)) AS count
  FROM token_grants g JOIN api_tokens t ON t.id = g.token JOIN tenants x ON x.id = g.tenant
  WHERE g.tenant = ANY($1::bigint[]) GROUP BY x.tenant_id ORDER BY 2 DESC LIMIT 1) AS valid
CROSS JOIN (
  SELECT x.tenant_id, count(*) FILTER (WHERE t.created_at > $3) AS count
  FROM token_grants g JOIN api_tokens t ON t.id = g.token JOIN tenants x ON x.id = g.tenant
  WHERE g.tenant = ANY($1::bigint[]) GROUP BY x.tenant_id ORDER BY 2 DESC LIMIT 1) AS fresh

-- name: insert
INSERT INTO api_tokens (name, roles, all_tenants, may_create, created_at, expires_at, created_by)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id

-- name: grant
INSERT INTO token_grants (token, tenant) SELECT $1, unnest($2::bigint[]) ON CONFLICT DO NOTHING

-- name: add_secret
INSERT INTO token_secrets (token, hash, created_at) VALUES ($1, $2, $3)

-- name: page
-- What $1 (numbers of tenants, NULL: everything) and $2 (names that may be created) reach. Tokens that share nothing
-- with these are not looked at.
WITH near AS (
  SELECT id FROM api_tokens WHERE $1::bigint[] IS NULL
  UNION SELECT token FROM token_grants WHERE tenant = ANY($1)
  UNION SELECT id FROM api_tokens WHERE may_create && $2::text[]
), reached AS MATERIALIZED (
  SELECT id FROM near WHERE $1 IS NULL OR token_within(id, $1, $2)
), shown AS (
  SELECT id, (SELECT count(*) FROM reached) AS total FROM reached ORDER BY id DESC OFFSET $4 LIMIT $5
)
SELECT t.*, held.tenants, held.former, replaced.valid_until AS old_secret_until, shown.total
FROM shown
JOIN api_tokens t ON t.id = shown.id
CROSS JOIN LATERAL (
  SELECT coalesce(array_agg(x.tenant_id ORDER BY x.id) FILTER (WHERE x.deleted_at IS NULL), '{}') AS tenants,
         coalesce(array_agg(x.tenant_id ORDER BY x.id) FILTER (WHERE x.deleted_at IS NOT NULL), '{}') AS former
  FROM token_grants g JOIN tenants x ON x.id = g.tenant WHERE g.token = t.id) AS held
LEFT JOIN LATERAL (
  SELECT max(s.valid_until) AS valid_until FROM token_secrets s WHERE s.token = t.id AND s.valid_until > $3) AS replaced
  ON true
ORDER BY t.id DESC

-- name: lock
-- One token within reach of $2 and $3, until the transaction ends.
SELECT * FROM api_tokens WHERE id = $1 AND token_within(id, $2::bigint[], $3::text[]) FOR UPDATE

-- name: revoke
UPDATE api_tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1

-- name: end_older_secrets
-- Of the secrets that were replaced before, at the next replacement.
DELETE FROM token_secrets WHERE token = $1 AND valid_until IS NOT NULL

-- name: end_present_secret
UPDATE token_secrets SET valid_until = $2 WHERE token = $1 AND valid_until IS NULL

-- name: set_expiry
UPDATE api_tokens SET expires_at = $2 WHERE id = $1

-- name: used
-- At most once a minute, however many processes say so.
UPDATE api_tokens t SET last_used_at = u.at
FROM unnest($1::bigint[], $2::timestamptz[]) AS u (token, at)
WHERE t.id = u.token AND (t.last_used_at IS NULL OR t.last_used_at <= u.at - INTERVAL '1 minute')

-- name: forget
-- Tokens that were over before $1.
DELETE FROM api_tokens WHERE least(revoked_at, expires_at) < $1
