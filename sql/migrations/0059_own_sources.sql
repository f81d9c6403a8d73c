-- Rows that people write into `monitoring_data` under a `data_source` of their own count for gauges and alert rules. So what
-- they may say is bounded as it is for everybody: labels as those of pulled series, and how many such sources a tenant has,
-- each of which is looked at for its newest values.

CREATE FUNCTION bytes_of_labels(labels jsonb) RETURNS bigint AS $$
  SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) FROM jsonb_each_text(labels)
$$ LANGUAGE sql IMMUTABLE;

CREATE OR REPLACE FUNCTION check_hand_made(metric_name text, metric_type text, metric_value double precision, ts timestamptz,
                                           data_source text, labels jsonb) RETURNS void AS $$
DECLARE
  bounds input_bounds;
BEGIN
  SELECT * INTO STRICT bounds FROM input_bounds;
  IF metric_value IS NULL OR NOT metric_value BETWEEN -bounds.largest AND bounds.largest THEN
    RAISE EXCEPTION 'metric_value must be a number from -% to %', bounds.largest, bounds.largest
      USING ERRCODE = 'check_violation', HINT = 'NaN and infinities are no measurements.';
  END IF;
  IF metric_name IS NULL OR NOT (length(metric_name) BETWEEN 1 AND 100 AND length(metric_type) BETWEEN 1 AND 100
                                 AND length(data_source) BETWEEN 1 AND 100)
     OR concat(metric_name, metric_type, data_source) ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'metric_name must be 1 to 100 printable characters, and so must metric_type and data_source'
      USING ERRCODE = 'check_violation';
  END IF;
  IF NOT are_labels(labels) THEN
    RAISE EXCEPTION 'labels must be an object of strings' USING ERRCODE = 'check_violation';
  END IF;
  -- `ecpmon.model.samples.MOST_LABEL_BYTES`; a test compares them.
  IF bytes_of_labels(labels) > 1000 THEN
    RAISE EXCEPTION 'labels must hold at most 1000 bytes in all, names and values' USING ERRCODE = 'check_violation';
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

-- A source that a tenant has already is looked up in its index alone.
CREATE FUNCTION check_own_source(owner bigint, source_is text) RETURNS void AS $$
BEGIN
  IF source_is IN ('push', 'simulator', 'prometheus')
     OR EXISTS (SELECT FROM series WHERE tenant = owner AND data_source = source_is) THEN
    RETURN;
  END IF;
  IF (SELECT count(DISTINCT data_source) FROM series
      WHERE tenant = owner AND data_source NOT IN ('push', 'simulator', 'prometheus')) >= 20 THEN
    RAISE EXCEPTION 'the tenant has 20 data sources of its own already, and % would be one more', source_is
      USING ERRCODE = 'check_violation', HINT = 'What tells parts of a tenant apart belongs into labels.';
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
  PERFORM check_own_source(owner, source_is);
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
