-- The availability timeline: closed spans, the open head, and which source was evidence when.

CREATE TABLE availability_spans (
  tenant bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  period tstzrange NOT NULL CHECK (
    NOT isempty(period) AND lower_inc(period) AND NOT upper_inc(period)
    AND NOT lower_inf(period) AND NOT upper_inf(period)),
  state  text NOT NULL CHECK (state IN ('up', 'down', 'gap')),
  reason text CHECK (reason IN ('target_failed', 'collector_down', 'not_pushed')),
  CHECK ((state = 'gap') = (reason IS NOT NULL)),
  -- Two states at one instant cannot be stored.
  EXCLUDE USING gist (tenant WITH =, period WITH &&)
);

-- The open end of a tenant's timeline; all NULL until its first observation. Updated with every observation, so
-- it has room for heap-only updates.
CREATE TABLE availability_heads (
  tenant            bigint PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  first_observed_at timestamptz,
  state             text CHECK (state IN ('up', 'down')),
  since             timestamptz,
  last_observed_at  timestamptz,
  holds             interval CHECK (holds > INTERVAL '0'),
  CHECK (num_nulls(first_observed_at, state, since, last_observed_at, holds) IN (0, 5)),
  CHECK (first_observed_at <= since AND since <= last_observed_at)
) WITH (fillfactor = 50);

-- One source is evidence at a time; a change of source or of its interval is a new row.
CREATE TABLE evidence_regimes (
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  valid_from timestamptz NOT NULL CHECK (isfinite(valid_from)),
  source     text NOT NULL CHECK (source IN ('prometheus', 'simulator', 'push')),
  holds      interval NOT NULL CHECK (holds > INTERVAL '0'),
  PRIMARY KEY (tenant, valid_from)
);

CREATE FUNCTION tenant_starts() RETURNS trigger AS $$
BEGIN
  INSERT INTO availability_heads (tenant) VALUES (NEW.id);
  INSERT INTO evidence_regimes (tenant, valid_from, source, holds)
  VALUES (NEW.id, '1970-01-01T00:00:00Z', CASE WHEN NEW.sli_source = 'auto' THEN 'push' ELSE NEW.sli_source END,
          CASE NEW.sli_source WHEN 'simulator' THEN INTERVAL '12.5 s' WHEN 'prometheus' THEN INTERVAL '37.5 s'
               ELSE make_interval(secs => 2.5 * NEW.push_interval_seconds) END);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER tenant_starts AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION tenant_starts();

-- The latest evaluation per tenant and window; `status` carries the hysteresis across restarts.
CREATE TABLE sla_current (
  tenant       bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  window_name  text NOT NULL,
  as_of        timestamptz NOT NULL,
  status       text NOT NULL CHECK (status IN ('meeting', 'at_risk', 'violated', 'no_data')),
  availability double precision CHECK (availability BETWEEN 0 AND 1),
  coverage     double precision CHECK (coverage BETWEEN 0 AND 1),
  burn_rate    double precision,
  budget_remaining_seconds  double precision NOT NULL,
  budget_remaining_fraction double precision,
  PRIMARY KEY (tenant, window_name)
) WITH (fillfactor = 50);
