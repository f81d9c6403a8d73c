-- Which evidence profile a tenant has, from when on; NULL: what holds for all.
CREATE TABLE evidence_profiles (
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  valid_from timestamptz NOT NULL,
  selection  jsonb,
  PRIMARY KEY (tenant, valid_from)
);
