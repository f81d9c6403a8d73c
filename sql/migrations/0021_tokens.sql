-- Tokens hold the numbers of tenants, so that a new tenant of an old name is another tenant; secrets can be replaced
-- while the old one still works for a while.
ALTER TABLE api_tokens
  ADD COLUMN all_tenants  boolean NOT NULL DEFAULT false,
  -- Names under which the token may create tenants. They give access to nothing: creating a tenant grants it.
  ADD COLUMN may_create   text[] NOT NULL DEFAULT '{}',
  -- Names that the token was granted when grants were names, and that belonged to no tenant when they became numbers.
  ADD COLUMN lost_access  text[] NOT NULL DEFAULT '{}',
  ADD COLUMN created_by   bigint REFERENCES api_tokens (id) ON DELETE SET NULL,
  -- Coarse: written at most once a minute.
  ADD COLUMN last_used_at timestamptz;
CREATE INDEX api_tokens_by_maker ON api_tokens (created_by) WHERE created_by IS NOT NULL;

-- The tenants of a token that does not hold all of them. A deleted tenant's number stays: its SLA history can be read.
CREATE TABLE token_grants (
  token  bigint NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
  tenant bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  PRIMARY KEY (token, tenant)
);
CREATE INDEX token_grants_by_tenant ON token_grants (tenant);

CREATE TABLE token_secrets (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  token       bigint NOT NULL REFERENCES api_tokens (id) ON DELETE CASCADE,
  hash        bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  created_at  timestamptz NOT NULL,
  -- Set when it is replaced: until then the old secret works beside the new one.
  valid_until timestamptz
);
-- One secret of a token is the present one.
CREATE UNIQUE INDEX token_secrets_present ON token_secrets (token) WHERE valid_until IS NULL;
CREATE INDEX token_secrets_by_token ON token_secrets (token);

INSERT INTO token_secrets (token, hash, created_at) SELECT id, token_hash, created_at FROM api_tokens;
-- A name meant the first tenant that bore it while the token was there; one that came after that is another.
INSERT INTO token_grants (token, tenant)
SELECT a.id, (SELECT t.id FROM tenants t
              WHERE t.tenant_id = granted.name AND (t.deleted_at IS NULL OR t.deleted_at > a.created_at)
              ORDER BY t.id LIMIT 1) AS tenant
FROM api_tokens a CROSS JOIN LATERAL (SELECT DISTINCT unnest(a.tenant_access)) AS granted (name)
WHERE '*' <> ALL(a.tenant_access)
  AND EXISTS (SELECT FROM tenants t
              WHERE t.tenant_id = granted.name AND (t.deleted_at IS NULL OR t.deleted_at > a.created_at));
-- Who could create tenants of these names goes on to.
UPDATE api_tokens a SET
  all_tenants = '*' = ANY(tenant_access),
  may_create = CASE WHEN '*' <> ALL(tenant_access) AND roles && '{tenant_admin,admin}' THEN tenant_access ELSE '{}' END,
  lost_access = CASE WHEN '*' = ANY(tenant_access) THEN '{}' ELSE array(
    SELECT granted.one FROM unnest(tenant_access) AS granted (one)
    WHERE NOT EXISTS (SELECT FROM token_grants g JOIN tenants t ON t.id = g.tenant
                      WHERE g.token = a.id AND t.tenant_id = granted.one)) END;

ALTER TABLE api_tokens
  DROP COLUMN token_hash,
  DROP COLUMN tenant_access,
  ADD CHECK (NOT all_tenants OR may_create = '{}');

-- Whether a token gives no more than the tenants `numbers` and the right to create `names`; NULL numbers: everything.
-- A token that gives nothing is nobody's but theirs who reach everything.
CREATE FUNCTION token_within(which bigint, numbers bigint[], names text[]) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT numbers IS NULL OR EXISTS (
    SELECT FROM api_tokens t
    WHERE t.id = which AND NOT t.all_tenants AND t.may_create <@ names
      AND NOT EXISTS (SELECT FROM token_grants g WHERE g.token = which AND g.tenant <> ALL (numbers))
      AND (cardinality(t.may_create) > 0 OR EXISTS (SELECT FROM token_grants g WHERE g.token = which)))
$$;
