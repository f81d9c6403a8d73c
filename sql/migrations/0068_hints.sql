-- Whoever writes by SQL is told what to do next, not only what is wrong.

CREATE OR REPLACE FUNCTION check_hand_made(metric_name text, metric_type text, metric_value double precision, ts timestamptz,
                                           data_source text, labels jsonb) RETURNS void AS $$
DECLARE
  bounds input_bounds;
BEGIN
  SELECT * INTO STRICT bounds FROM input_bounds;
  IF metric_value IS NULL OR NOT metric_value BETWEEN -bounds.largest AND bounds.largest THEN
    RAISE EXCEPTION 'metric_value must be a number from -% to %, and is %', bounds.largest, bounds.largest,
                    coalesce(metric_value::text, 'NULL')
      USING ERRCODE = 'check_violation',
            HINT = 'NaN and infinities are no measurements: leave out the row of what was not measured.';
  END IF;
  IF metric_name IS NULL OR NOT (length(metric_name) BETWEEN 1 AND 100 AND length(metric_type) BETWEEN 1 AND 100
                                 AND length(data_source) BETWEEN 1 AND 100)
     OR concat(metric_name, metric_type, data_source) ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'metric_name must be 1 to 100 printable characters, and so must metric_type and data_source'
      USING ERRCODE = 'check_violation',
            HINT = 'Known names are cpu, memory, gpu, network_in, network_out, storage_used, request_count, response_time, '
                   'error_rate and up; any other name is a metric of your own.';
  END IF;
  IF NOT are_labels(labels) THEN
    RAISE EXCEPTION 'labels must be an object of strings'
      USING ERRCODE = 'check_violation', HINT = 'Such as ''{"service": "chatbot"}''; a number is written as "1".';
  END IF;
  -- `ecpmon.model.samples.MOST_LABEL_BYTES`; a test compares them.
  IF bytes_of_labels(labels) > 1000 THEN
    RAISE EXCEPTION 'labels must hold at most 1000 bytes in all, names and values'
      USING ERRCODE = 'check_violation', HINT = 'Labels name a part of a tenant; what changes is a metric_value.';
  END IF;
  IF NOT isfinite(ts) OR ts > input_now() + bounds.future THEN
    RAISE EXCEPTION 'the timestamp % lies more than % in the future', ts, bounds.future
      USING ERRCODE = 'check_violation',
            HINT = format('Now it is %s. Give a time zone ("2026-01-20T14:30:00+09:00"), or leave out "timestamp" for now.',
                          input_now());
  END IF;
  IF ts < input_now() - bounds.raw_retention THEN
    RAISE EXCEPTION 'the timestamp % is older than %, for which raw samples are kept', ts, bounds.raw_retention
      USING ERRCODE = 'check_violation',
            HINT = format('The earliest is %s; is the year right? ECPMON_RAW_RETENTION_DAYS says how long they are kept.',
                          input_now() - bounds.raw_retention);
  END IF;
END
$$ LANGUAGE plpgsql STABLE;

-- Raises: there is no such tenant. With the one that was most likely meant, which whoever may insert may also read.
CREATE FUNCTION no_such_tenant(named text) RETURNS void AS $$
DECLARE
  meant text;
BEGIN
  SELECT tenant_id INTO meant FROM tenants
   WHERE deleted_at IS NULL AND named ~ '[^0-9]' AND lower(trim(named)) IN (tenant_id, lower(name))
   ORDER BY tenant_id LIMIT 1;
  RAISE EXCEPTION 'there is no tenant %', coalesce(named, 'NULL')
    USING ERRCODE = 'foreign_key_violation',
          HINT = CASE WHEN meant IS NOT NULL THEN format('Did you mean %s?', meant)
                      ELSE 'SELECT id, tenant_id, name FROM tenants shows all there are; a new one is a row there, or '
                           'POST /api/v1/tenants/.' END;
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
  IF name_is IN ('up', 'error_rate') THEN
    INSERT INTO evidence_dirty (tenant, ts) VALUES (owner, NEW.timestamp);
  END IF;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION compat.monitoring_data_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  name_is text := coalesce((canonical_metric(NEW.metric_name)).metric_name, NEW.metric_name);
BEGIN
  IF NOT EXISTS (SELECT FROM tenants WHERE id = NEW.tenant_id AND deleted_at IS NULL) THEN
    RAISE EXCEPTION 'there is no tenant with the id %', coalesce(NEW.tenant_id::text, 'NULL')
      USING ERRCODE = 'foreign_key_violation',
            HINT = 'tenant_id is the number: SELECT id FROM tenants WHERE tenant_id = ''my-service''. '
                   'INSERT INTO tenants … RETURNING id makes one.';
  END IF;
  INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value, "timestamp", data_source, labels)
  SELECT t.tenant_id, NEW.metric_type, NEW.metric_name, NEW.metric_value, NEW."timestamp", NEW.data_source, NEW.labels
  FROM tenants t WHERE t.id = NEW.tenant_id
  RETURNING "timestamp", data_source, labels INTO NEW."timestamp", NEW.data_source, NEW.labels;
  NEW.data_source := coalesce(NEW.data_source, 'push');
  INSERT INTO written_names AS w (series, metric_name)
  SELECT s.id, NEW.metric_name FROM series s
  WHERE s.tenant = NEW.tenant_id AND s.data_source = NEW.data_source AND s.metric_name = name_is
    AND s.labels = coalesce(NEW.labels, '{}')
  ON CONFLICT (series) DO UPDATE SET metric_name = excluded.metric_name WHERE w.metric_name <> excluded.metric_name;
  RETURN NEW;
END
$$;

-- What the table's constraints would refuse, said in words. They stay what decides.
CREATE FUNCTION compat.check_tenant(made compat.tenants) RETURNS void LANGUAGE plpgsql STABLE
SET search_path = public, pg_temp AS $$
DECLARE
  missing text;
BEGIN
  SELECT string_agg(name, ', ' ORDER BY place) INTO missing FROM (VALUES
    (1, 'tenant_id', made.tenant_id::text), (2, 'preset', made.preset::text),
    (3, 'service_requirements', made.service_requirements::text), (4, 'resources', made.resources::text),
    (5, 'sla_target', made.sla_target::text)) AS given (place, name, value) WHERE value IS NULL;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'a tenant needs %', missing USING ERRCODE = 'not_null_violation',
      HINT = 'POST /api/v1/tenants/ works out preset and resources by itself.';
  END IF;
  IF made.tenant_id !~ '^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$' THEN
    RAISE EXCEPTION 'tenant_id % cannot be a part of a namespace', made.tenant_id USING ERRCODE = 'check_violation',
      HINT = 'Small letters, digits and hyphens, 1 to 56 of them, no hyphen at either end: my-ai-service.';
  END IF;
  IF made.preset NOT IN ('micro', 'small', 'medium', 'large') THEN
    RAISE EXCEPTION 'there is no preset %', made.preset USING ERRCODE = 'check_violation',
      HINT = 'Presets are micro, small, medium and large.';
  END IF;
  IF NOT coalesce(made.sla_target->>'availability' ~ '^\d{1,2}(\.\d{1,6})?%?$'
                  AND rtrim(made.sla_target->>'availability', '%')::numeric > 0, true) THEN
    RAISE EXCEPTION 'no availability can be %', made.sla_target->>'availability' USING ERRCODE = 'check_violation',
      HINT = 'A percentage between 0 and 100, both excluded: {"availability": "99.9%"}.';
  END IF;
  IF EXISTS (SELECT FROM tenants WHERE tenant_id = made.tenant_id AND deleted_at IS NULL) THEN
    RAISE EXCEPTION 'a tenant % exists already', made.tenant_id USING ERRCODE = 'unique_violation',
      HINT = format('Its id: SELECT id FROM tenants WHERE tenant_id = %L.', made.tenant_id);
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION compat.tenants_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
  PERFORM compat.check_tenant(NEW);
  INSERT INTO tenants (tenant_id, name, preset, is_demo, status, service_requirements, resources, sla_target, cpu_limit,
                       memory_limit, gpu_limit, storage_limit, gpu_type)
  VALUES (NEW.tenant_id, NEW.name, NEW.preset, coalesce(NEW.is_demo, false), coalesce(NEW.status, 'pending'),
          NEW.service_requirements, NEW.resources, NEW.sla_target, NEW.cpu_limit, NEW.memory_limit, NEW.gpu_limit,
          NEW.storage_limit, NEW.gpu_type)
  RETURNING id, is_demo, status, created_at, updated_at
  INTO NEW.id, NEW.is_demo, NEW.status, NEW.created_at, NEW.updated_at;
  RETURN NEW;
END
$$;
