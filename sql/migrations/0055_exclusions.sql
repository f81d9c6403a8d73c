-- Why time is left out, whether it counts without anybody's approval, and what was laid on many tenants at once. What there
-- is counts as it did: it needs no approval and no notice.
ALTER TABLE maintenance
  ADD COLUMN category text NOT NULL DEFAULT 'maintenance'
    CHECK (category IN ('maintenance', 'customer', 'force_majeure', 'deployment', 'other')),
  -- The rules of the day on which it was entered.
  ADD COLUMN needs_approval boolean NOT NULL DEFAULT false,
  ADD COLUMN notice         interval CHECK (notice > INTERVAL '0' AND notice <= INTERVAL '366 days'),
  ADD COLUMN approver       text CHECK (approver ~ '\S'),
  ADD COLUMN approved_at    timestamptz
    CONSTRAINT maintenance_approved_at_readable CHECK (approved_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  ADD CHECK ((approver IS NULL) = (approved_at IS NULL)),
  -- The token that entered it: its database and number.
  ADD COLUMN token          text CHECK (length(token) <= 100),
  -- The request that laid it, on each tenant once.
  ADD COLUMN laid_by        uuid,
  ADD CONSTRAINT maintenance_laid_once UNIQUE (tenant, laid_by);

-- What was asked to be laid on many tenants, so that the same key asked again is the same request.
CREATE TABLE exclusion_requests (
  -- Follows from who asked and his key.
  request      uuid PRIMARY KEY,
  requested_at timestamptz NOT NULL
    CONSTRAINT exclusion_requests_requested_at_readable
    CHECK (requested_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  requested_by text NOT NULL,
  -- Whom it chose when it came first.
  tenants      bigint[] NOT NULL CHECK (cardinality(tenants) BETWEEN 1 AND 100000),
  -- SHA-256 of what was asked.
  digest       text NOT NULL CHECK (length(digest) = 64)
);
CREATE INDEX exclusion_requests_by_time ON exclusion_requests (requested_at);
