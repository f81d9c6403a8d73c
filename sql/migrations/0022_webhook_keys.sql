-- Which keys sign a tenant's webhooks. No key is stored: each is derived from the installation's secret, the tenant's
-- number and the salt. A tenant without a row has the key of generation 0, whose salt is empty.
CREATE TABLE webhook_keys (
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  generation  integer NOT NULL CHECK (generation >= 0),
  salt        bytea NOT NULL CHECK (length(salt) = CASE WHEN generation = 0 THEN 0 ELSE 32 END),
  shown_at    timestamptz NOT NULL,
  shown_to    text NOT NULL,
  -- NULL: for good.
  signs_until timestamptz,
  PRIMARY KEY (tenant, generation)
);
CREATE UNIQUE INDEX webhook_keys_current ON webhook_keys (tenant) WHERE signs_until IS NULL;
