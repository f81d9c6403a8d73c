-- Tenants that a demo database began with. Whoever deletes one does not find it again.
CREATE TABLE demo_seeds (
  tenant_id   text PRIMARY KEY,
  made_at     timestamptz NOT NULL CHECK (made_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  deployed_at timestamptz CHECK (deployed_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z')
);
