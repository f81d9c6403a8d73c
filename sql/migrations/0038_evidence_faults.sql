-- What was wrong with a tenant's part of what a source said, and when: figures that reach over it say so.
CREATE TABLE evidence_faults (
  tenant   bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  source   text NOT NULL,
  subject  text NOT NULL,
  first_at timestamptz NOT NULL,
  last_at  timestamptz NOT NULL,
  reason   text NOT NULL,
  PRIMARY KEY (tenant, source, subject, first_at),
  CHECK (first_at <= last_at)
);
