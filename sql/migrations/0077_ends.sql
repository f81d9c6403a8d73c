-- Voices say that they end (ecpmon/sla/voices.py): rows of such metrics that people insert or delete are evidence as well.
CREATE FUNCTION is_evidence(metric text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN metric IN ('up', 'error_rate', 'up_over', 'error_rate_over', 'up_silent', 'error_rate_silent');

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
    PERFORM no_such_tenant(NEW.tenant_id);
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
  IF is_evidence(name_is) THEN
    INSERT INTO evidence_dirty (tenant, ts) VALUES (owner, NEW.timestamp);
  END IF;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION frames_deleted() RETURNS trigger AS $$
BEGIN
  IF OLD.ts BETWEEN '1970-01-01T00:00:00Z' AND input_now() + INTERVAL '1 day'
     AND EXISTS (SELECT FROM tenants WHERE id = OLD.tenant) THEN
    INSERT INTO rollup_dirty (tenant, bucket, shrunk) VALUES (OLD.tenant, time_bucket('5 minutes', OLD.ts), true)
    ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1, shrunk = true;
    INSERT INTO evidence_dirty (tenant, ts, gone)
    SELECT OLD.tenant, OLD.ts, true WHERE EXISTS (
      SELECT FROM series WHERE id = ANY(OLD.series) AND is_evidence(metric_name));
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
