-- Bounds of what is stored (docs/poison.md): no row may hold an instant that no reader can read, or a value that no sum can
-- hold. What lies outside already is taken out, with the marks that point at it.

-- Of the one installation this database serves. `raw_retention` follows ECPMON_RAW_RETENTION_DAYS.
CREATE TABLE input_bounds (
  only_one      boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  raw_retention interval NOT NULL DEFAULT INTERVAL '7 days' CHECK (raw_retention > INTERVAL '0'),
  future        interval NOT NULL DEFAULT INTERVAL '5 minutes' CHECK (future >= INTERVAL '0'),
  -- `ecpmon.model.samples.LARGEST`; a test compares them.
  largest       double precision NOT NULL DEFAULT 1e100
);
INSERT INTO input_bounds DEFAULT VALUES;

-- The present instant; a rehearsal may play another one: SET ecpmon.now = '2026-03-02T09:00:00Z'.
CREATE FUNCTION input_now() RETURNS timestamptz AS $$
  SELECT coalesce(nullif(current_setting('ecpmon.now', true), '')::timestamptz, CURRENT_TIMESTAMP)
$$ LANGUAGE sql STABLE;

CREATE FUNCTION are_labels(labels jsonb) RETURNS boolean AS $$
  SELECT jsonb_typeof(labels) = 'object' AND NOT jsonb_path_exists(labels, 'strict $.* ? (@.type() != "string")')
$$ LANGUAGE sql IMMUTABLE;

-- What the API refuses, a hand-made row is refused for.
CREATE FUNCTION check_hand_made(metric_name text, metric_type text, metric_value double precision, ts timestamptz,
                                data_source text, labels jsonb) RETURNS void AS $$
DECLARE
  bounds input_bounds;
BEGIN
  SELECT * INTO STRICT bounds FROM input_bounds;
  IF metric_value IS NULL OR NOT metric_value BETWEEN -bounds.largest AND bounds.largest THEN
    RAISE EXCEPTION 'metric_value must be a number from -% to %', bounds.largest, bounds.largest
      USING ERRCODE = 'check_violation', HINT = 'NaN and infinities are no measurements.';
  END IF;
  IF metric_name IS NULL OR length(metric_name) NOT BETWEEN 1 AND 100 OR metric_name ~ '[[:cntrl:]]'
     OR length(metric_type) > 100 OR length(data_source) > 100 THEN
    RAISE EXCEPTION 'metric_name must be 1 to 100 printable characters; metric_type and data_source at most 100'
      USING ERRCODE = 'check_violation';
  END IF;
  IF NOT are_labels(labels) THEN
    RAISE EXCEPTION 'labels must be an object of strings' USING ERRCODE = 'check_violation';
  END IF;
  IF NOT isfinite(ts) OR ts > input_now() + bounds.future THEN
    RAISE EXCEPTION 'the timestamp % lies more than % in the future', ts, bounds.future
      USING ERRCODE = 'check_violation', HINT = 'Is the year right?';
  END IF;
  IF ts < input_now() - bounds.raw_retention THEN
    RAISE EXCEPTION 'the timestamp % is older than %, for which raw samples are kept', ts, bounds.raw_retention
      USING ERRCODE = 'check_violation', HINT = 'Is the year right?';
  END IF;
END
$$ LANGUAGE plpgsql STABLE;

CREATE OR REPLACE FUNCTION monitoring_data_insert() RETURNS trigger AS $$
DECLARE
  owner    bigint;
  name_is  text := coalesce((canonical_metric(NEW.metric_name)).metric_name, NEW.metric_name);
  type_is  text := coalesce((canonical_metric(NEW.metric_name)).metric_type, NEW.metric_type, 'custom');
  source_is text := coalesce(NEW.data_source, 'push');
  series_is integer;
BEGIN
  SELECT id INTO owner FROM tenants
   WHERE deleted_at IS NULL AND (tenant_id = NEW.tenant_id OR id::text = NEW.tenant_id)
   ORDER BY (tenant_id = NEW.tenant_id) DESC LIMIT 1;
  IF owner IS NULL THEN
    RAISE EXCEPTION 'there is no tenant %', NEW.tenant_id USING ERRCODE = 'foreign_key_violation';
  END IF;
  NEW.timestamp := coalesce(NEW.timestamp, input_now());
  NEW.labels := coalesce(NEW.labels, '{}');
  PERFORM check_hand_made(name_is, type_is, NEW.metric_value, NEW.timestamp, source_is, NEW.labels);
  INSERT INTO series (tenant, data_source, metric_type, metric_name, labels)
  VALUES (owner, source_is, type_is, name_is, NEW.labels)
  ON CONFLICT DO NOTHING;
  SELECT id INTO series_is FROM series
   WHERE tenant = owner AND data_source = source_is AND metric_type = type_is AND metric_name = name_is
     AND labels = NEW.labels;
  INSERT INTO frames (ts, tenant, series, samples)
  VALUES (NEW.timestamp, owner, ARRAY[series_is], ARRAY[NEW.metric_value]);
  INSERT INTO rollup_dirty (tenant, bucket) VALUES (owner, time_bucket('5 minutes', NEW.timestamp))
  ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1;
  IF name_is IN ('up', 'error_rate') THEN
    INSERT INTO evidence_dirty (tenant, ts) VALUES (owner, NEW.timestamp);
  END IF;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;

-- What people delete from `frames` is taken back everywhere. `shrunk`: series may be gone from the bucket altogether. Whole
-- chunks, which retention drops, do not come by here.
ALTER TABLE rollup_dirty ADD COLUMN shrunk boolean NOT NULL DEFAULT false;
CREATE FUNCTION frames_deleted() RETURNS trigger AS $$
BEGIN
  IF OLD.ts BETWEEN '1970-01-01T00:00:00Z' AND input_now() + INTERVAL '1 day'
     AND EXISTS (SELECT FROM tenants WHERE id = OLD.tenant) THEN
    INSERT INTO rollup_dirty (tenant, bucket, shrunk) VALUES (OLD.tenant, time_bucket('5 minutes', OLD.ts), true)
    ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1, shrunk = true;
    INSERT INTO evidence_dirty (tenant, ts)
    SELECT OLD.tenant, OLD.ts WHERE EXISTS (
      SELECT FROM series WHERE id = ANY(OLD.series) AND metric_name IN ('up', 'error_rate'));
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER frames_deleted AFTER DELETE ON frames FOR EACH ROW EXECUTE FUNCTION frames_deleted();

-- Everything a tenant has said since `since` is to be counted again; what it says about a distant time is never counted.
CREATE OR REPLACE FUNCTION objective_marks_since(whose bigint, since timestamptz) RETURNS void AS $$
  INSERT INTO objective_marks (tenant, starts, ends)
  SELECT whose, time_bucket('5 minutes', min(ts)), time_bucket('5 minutes', max(ts)) + INTERVAL '5 minutes'
  FROM frames WHERE tenant = whose AND ts >= greatest(since, '1970-01-01T00:00:00Z') AND ts < input_now() + INTERVAL '1 day'
  HAVING min(ts) IS NOT NULL
  ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1
$$ LANGUAGE sql;

-- Takes out of a tenant's timeline what lies before 1970 or after `latest`. Its open end is then what was known last before:
-- a closed span of an observation ends where the observation no longer holds.
CREATE FUNCTION heal_timeline(whose bigint, latest timestamptz) RETURNS void AS $$
DECLARE
  head availability_heads;
  known record;
BEGIN
  SELECT * INTO STRICT head FROM availability_heads WHERE tenant = whose FOR UPDATE;
  DELETE FROM availability_spans
   WHERE tenant = whose AND (lower(period) < '1970-01-01T00:00:00Z' OR lower(period) >= latest
                             OR (state = 'gap' AND upper(period) > latest));
  UPDATE availability_spans SET period = tstzrange(lower(period), latest) WHERE tenant = whose AND upper(period) > latest;
  IF head.since BETWEEN '1970-01-01T00:00:00Z' AND latest THEN
    UPDATE availability_heads SET last_observed_at = least(last_observed_at, latest) WHERE tenant = whose;
  ELSE
    SELECT lower(s.period) AS since, s.state, s.share, r.holds, upper(s.period) - r.holds AS last INTO known
    FROM availability_spans s CROSS JOIN LATERAL (
      SELECT holds FROM evidence_regimes WHERE tenant = whose
      ORDER BY valid_from <= lower(s.period) DESC, valid_from DESC LIMIT 1) AS r
    WHERE s.tenant = whose AND s.state <> 'gap' ORDER BY lower(s.period) DESC LIMIT 1;
    DELETE FROM availability_spans WHERE tenant = whose AND lower(period) >= coalesce(known.since, '1970-01-01T00:00:00Z');
    UPDATE availability_heads
    SET first_observed_at = least(first_observed_at, known.since), state = known.state, since = known.since,
        last_observed_at = greatest(known.since, known.last), holds = known.holds, share = coalesce(known.share, 1)
    WHERE tenant = whose AND known.since IS NOT NULL;
    UPDATE availability_heads
    SET first_observed_at = NULL, state = NULL, since = NULL, last_observed_at = NULL, holds = NULL, share = 1
    WHERE tenant = whose AND known.since IS NULL;
  END IF;
  UPDATE availability_heads h
  SET first_observed_at = coalesce((SELECT min(lower(period)) FROM availability_spans WHERE tenant = whose), h.since)
  WHERE tenant = whose AND first_observed_at < '1970-01-01T00:00:00Z';
END
$$ LANGUAGE plpgsql;

-- Takes out everything that claims to have been observed before 1970 or after `latest`, with the marks that point at it and
-- what was made of it; the tenants concerned. For the jobs, and for whoever has put such rows past the bounds.
CREATE FUNCTION forget_impossible(latest timestamptz) RETURNS SETOF bigint AS $$
DECLARE
  early constant timestamptz := '1970-01-01T00:00:00Z';
  sick bigint[];
  one bigint;
BEGIN
  WITH gone AS (DELETE FROM frames WHERE ts < early OR ts > latest RETURNING tenant)
  SELECT array_agg(DISTINCT tenant) INTO sick FROM (
    SELECT tenant FROM gone
    UNION SELECT tenant FROM availability_heads
          WHERE first_observed_at < early OR since < early OR last_observed_at < early OR last_observed_at > latest
    UNION SELECT tenant FROM objectives WHERE first_at < early OR first_at > latest) AS found;
  PERFORM drop_chunks('frames', newer_than => latest + INTERVAL '1 day');
  PERFORM drop_chunks(tier, newer_than => latest + INTERVAL '31 days') FROM unnest('{rollup_5m,rollup_1h}'::regclass[]) AS tier;
  -- Also of tenants that are gone.
  DELETE FROM rollup_dirty d WHERE d.bucket < early OR d.bucket > latest OR NOT EXISTS (SELECT FROM tenants WHERE id = d.tenant);
  DELETE FROM evidence_dirty WHERE ts < early OR ts > latest;
  DELETE FROM objective_marks WHERE ends < early OR starts > latest;
  UPDATE objective_marks SET starts = greatest(starts, early), ends = least(ends, latest) WHERE starts < early OR ends > latest;
  FOREACH one IN ARRAY coalesce(sick, '{}') LOOP
    -- What else is wrong with one of them must not keep the others ill.
    BEGIN
      PERFORM heal_timeline(h.tenant, latest) FROM availability_heads h WHERE h.tenant = one AND h.state IS NOT NULL;
      DELETE FROM rollup_5m r USING series s WHERE s.tenant = one AND r.series = s.id AND (r.bucket < early OR r.bucket > latest);
      DELETE FROM rollup_1h r USING series s WHERE s.tenant = one AND r.series = s.id AND (r.bucket < early OR r.bucket > latest);
      DELETE FROM objective_hours h USING objectives o
       WHERE o.tenant = one AND h.objective = o.id AND (h.hour < early OR h.hour > latest);
      UPDATE objectives o SET first_at = (SELECT min(hour) FROM objective_hours h WHERE h.objective = o.id)
       WHERE o.tenant = one AND (o.first_at < early OR o.first_at > latest);
      PERFORM objective_marks_since(one, early) FROM tenants WHERE id = one;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'the timeline of tenant % cannot be healed: %', one, SQLERRM;
    END;
    RETURN NEXT one;
  END LOOP;
END
$$ LANGUAGE plpgsql;

-- A day's margin: a clock that was ahead or is behind for a moment costs nothing.
SELECT count(*) FROM forget_impossible(CURRENT_TIMESTAMP + INTERVAL '1 day');
DELETE FROM rollup_5m WHERE NOT (low >= -1e100 AND high <= 1e100);
DELETE FROM rollup_1h WHERE NOT (low >= -1e100 AND high <= 1e100);
DELETE FROM evidence_regimes WHERE valid_from NOT BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z';

-- From now on. NOT VALID where reading all would take long; what is there was looked at above.
ALTER TABLE rollup_5m ADD CONSTRAINT rollup_5m_values CHECK (low >= -1e100 AND high <= 1e100) NOT VALID;
ALTER TABLE rollup_1h ADD CONSTRAINT rollup_1h_values CHECK (low >= -1e100 AND high <= 1e100) NOT VALID;
ALTER TABLE series ADD CONSTRAINT series_labels CHECK (are_labels(labels)) NOT VALID;
ALTER TABLE availability_spans ADD CONSTRAINT availability_spans_time
  CHECK (lower(period) >= '1970-01-01T00:00:00Z' AND upper(period) < '2200-01-01T00:00:00Z') NOT VALID;
DO $$
DECLARE
  it record;
BEGIN
  FOR it IN
    SELECT c.table_name, c.column_name, is_time,
           CASE WHEN is_time THEN '1970-01-01T00:00:00Z' ELSE '0001-01-01T00:00:00Z' END::timestamptz AS low,
           CASE WHEN is_time THEN '2200-01-01T00:00:00Z' ELSE '9999-12-31T00:00:00Z' END::timestamptz AS high
    FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
    -- What was observed when, and whose.
    CROSS JOIN LATERAL (SELECT (c.table_name, c.column_name) IN (
      ('frames', 'ts'), ('pull_attempts', 'ts'), ('collector_watermarks', 'collected'), ('rollup_5m', 'bucket'),
      ('rollup_1h', 'bucket'), ('rollup_dirty', 'bucket'), ('evidence_dirty', 'ts'), ('evidence_regimes', 'valid_from'),
      ('availability_heads', 'first_observed_at'), ('availability_heads', 'since'), ('availability_heads', 'last_observed_at'),
      ('availability_sums', 'starts'), ('availability_sums', 'ends'), ('objective_marks', 'starts'),
      ('objective_marks', 'ends'), ('objective_hours', 'hour'), ('objectives', 'first_at'), ('tenants', 'created_at'),
      ('tenants', 'updated_at'), ('tenants', 'deleted_at')) AS is_time) AS kind
    WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.data_type = 'timestamp with time zone'
      AND c.table_name <> 'schema_migrations'
  LOOP
    -- People write these by hand; everything else was written by ecpmon or has just been looked at.
    IF it.table_name IN ('tenants', 'deployments', 'maintenance', 'external_alerts', 'api_tokens') THEN
      EXECUTE format('UPDATE %1$I SET %2$I = least(greatest(%2$I, %3$L), %4$L) WHERE %2$I < %3$L OR %2$I > %4$L',
                     it.table_name, it.column_name, it.low, it.high);
    END IF;
    -- The driver cannot read years beyond 1 to 9999, and one such row fails the whole query.
    EXECUTE format('ALTER TABLE %1$I ADD CONSTRAINT %5$I CHECK (%2$I BETWEEN %3$L AND %4$L) NOT VALID',
                   it.table_name, it.column_name, it.low, it.high, it.table_name || '_' || it.column_name || '_readable');
  END LOOP;
END
$$;
