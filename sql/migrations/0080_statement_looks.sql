-- What the job that looks for changed statements found when it looked at a month last: a month is looked at again when that
-- is not so any more, whoever leads by then.
CREATE TABLE statement_looks (
  tenant    bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  month     text NOT NULL CHECK (month ~ '^\d{4}-(0[1-9]|1[0-2])$'),
  looked_at timestamptz NOT NULL CHECK (looked_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  -- Digests: of what every turn compares (totals, contract, maintenance), and of the spans that the month follows from.
  inputs    bytea NOT NULL CHECK (length(inputs) = 32),
  spans     bytea NOT NULL CHECK (length(spans) = 32),
  PRIMARY KEY (tenant, month)
);
