-- Raw samples as frames (data-and-sla.md §1), pull attempts, rollups and the relations people know.

CREATE TABLE series (
  id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  data_source text NOT NULL,
  metric_type text NOT NULL,
  metric_name text NOT NULL,
  labels      jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
  UNIQUE (tenant, data_source, metric_type, metric_name, labels)
);

-- One row is what one source said about one tenant at one instant. `seq` decides between two values of the same
-- series and instant: the one accepted last. No foreign key on `series`: the ids come from the same transaction,
-- and an array element cannot reference.
CREATE SEQUENCE frame_seq;
CREATE TABLE frames (
  ts     timestamptz NOT NULL,
  tenant bigint NOT NULL,
  seq    bigint NOT NULL DEFAULT nextval('frame_seq'),
  series integer[] NOT NULL,
  samples double precision[] NOT NULL CHECK (cardinality(samples) = cardinality(series))
);
SELECT create_hypertable('frames', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX frames_by_tenant ON frames (tenant, ts DESC);

-- Every pull, and the heartbeat of the push endpoint: the evidence of who was blind. `tenant` is set when the
-- attempt concerned that tenant only.
CREATE TABLE pull_attempts (
  ts          timestamptz NOT NULL,
  source      text NOT NULL,
  tenant      bigint,
  outcome     text NOT NULL CHECK (outcome IN ('ok', 'target_failed', 'collector_down')),
  duration_ms double precision NOT NULL CHECK (duration_ms >= 0),
  detail      text
);
SELECT create_hypertable('pull_attempts', by_range('ts', INTERVAL '1 day'), create_default_indexes => false);
CREATE INDEX pull_attempts_by_source ON pull_attempts (source, ts DESC);

-- Collectors resume from here after a restart.
CREATE TABLE collector_watermarks (
  source    text PRIMARY KEY,
  collected timestamptz NOT NULL
);

CREATE TABLE rollup_5m (
  bucket timestamptz NOT NULL,
  series integer NOT NULL,
  total  double precision NOT NULL,
  low    double precision NOT NULL,
  high   double precision NOT NULL,
  points bigint NOT NULL CHECK (points > 0),
  PRIMARY KEY (series, bucket)
);
SELECT create_hypertable('rollup_5m', by_range('bucket', INTERVAL '7 days'), create_default_indexes => false);
CREATE TABLE rollup_1h (LIKE rollup_5m INCLUDING ALL);
SELECT create_hypertable('rollup_1h', by_range('bucket', INTERVAL '30 days'), create_default_indexes => false);

-- 5-minute buckets whose rollups are out of date. Writers bump `generation` under the row lock, so that the
-- rollup job cannot delete a mark whose frame it has not seen.
CREATE TABLE rollup_dirty (
  tenant     bigint NOT NULL,
  bucket     timestamptz NOT NULL,
  generation bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, bucket)
) WITH (fillfactor = 50);

-- Hand-made evidence (INSERT INTO monitoring_data) that the availability timeline has yet to take in.
CREATE TABLE evidence_dirty (
  id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  ts     timestamptz NOT NULL
);

-- The DISTINCT ON columns are all those people filter on, so their filters reach the chunks.
CREATE VIEW monitoring_data AS
SELECT DISTINCT ON (t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, f.ts)
       t.tenant_id, s.metric_type, s.metric_name, v.value AS metric_value, f.ts AS "timestamp",
       s.data_source, s.labels
FROM tenants t
JOIN frames f ON f.tenant = t.id
CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
JOIN series s ON s.id = v.series
WHERE t.deleted_at IS NULL
ORDER BY t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, f.ts, f.seq DESC;

CREATE VIEW metrics_5m AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total / r.points AS avg, r.low AS min, r.high AS max, r.points AS count
FROM tenants t JOIN series s ON s.tenant = t.id JOIN rollup_5m r ON r.series = s.id
WHERE t.deleted_at IS NULL;

CREATE VIEW metrics_1h AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total / r.points AS avg, r.low AS min, r.high AS max, r.points AS count
FROM tenants t JOIN series s ON s.tenant = t.id JOIN rollup_1h r ON r.series = s.id
WHERE t.deleted_at IS NULL;

-- Pushed name -> canonical name and type (api.md §3); ecpmon/names.py holds the same table, a test compares them.
CREATE FUNCTION canonical_metric(metric text, OUT metric_type text, OUT metric_name text) AS $$
  SELECT c.metric_type, c.metric_name FROM (VALUES
    ('cpu_usage', 'cpu', 'cpu_usage'), ('cpu', 'cpu', 'cpu_usage'),
    ('memory_usage', 'memory', 'memory_usage'), ('memory', 'memory', 'memory_usage'),
    ('gpu_usage', 'gpu', 'gpu_usage'), ('gpu', 'gpu', 'gpu_usage'),
    ('network_in', 'network', 'network_in'), ('network_out', 'network', 'network_out'),
    ('storage_used', 'storage', 'storage_used'), ('request_count', 'request', 'request_count'),
    ('response_time', 'response', 'response_time'), ('error_rate', 'error', 'error_rate'),
    ('up', 'sla', 'up')
  ) AS c (pushed, metric_type, metric_name) WHERE c.pushed = metric
$$ LANGUAGE sql IMMUTABLE;

-- Small hand-made writes: INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value …).
-- `tenant_id` may be the name or, as in the integration guide, the number of the row in `tenants`.
CREATE FUNCTION monitoring_data_insert() RETURNS trigger AS $$
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
  IF NEW.metric_name IS NULL OR NEW.metric_value IS NULL
     OR NEW.metric_value IN ('NaN', 'Infinity', '-Infinity') THEN
    RAISE EXCEPTION 'metric_name and a finite metric_value are required' USING ERRCODE = 'check_violation';
  END IF;
  NEW.timestamp := coalesce(NEW.timestamp, CURRENT_TIMESTAMP);
  INSERT INTO series (tenant, data_source, metric_type, metric_name, labels)
  VALUES (owner, source_is, type_is, name_is, coalesce(NEW.labels, '{}'))
  ON CONFLICT DO NOTHING;
  SELECT id INTO series_is FROM series
   WHERE tenant = owner AND data_source = source_is AND metric_type = type_is AND metric_name = name_is
     AND labels = coalesce(NEW.labels, '{}');
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
CREATE TRIGGER monitoring_data_insert INSTEAD OF INSERT ON monitoring_data
  FOR EACH ROW EXECUTE FUNCTION monitoring_data_insert();
