-- The relations of the source documents under their names, with the types that they show: for users whose search_path begins
-- with this schema. They have rights here only: what is inserted goes into our own tables by functions of ours, which check it.
CREATE SCHEMA compat;
REVOKE ALL ON SCHEMA compat FROM PUBLIC;

-- How a series is called by who writes it here.
CREATE TABLE written_names (
  series      integer PRIMARY KEY REFERENCES series (id) ON DELETE CASCADE,
  metric_name text NOT NULL CHECK (length(metric_name) BETWEEN 1 AND 100)
);

CREATE VIEW compat.tenants AS
SELECT id::integer AS id, tenant_id, name, preset, is_demo, status, service_requirements, resources, sla_target, cpu_limit,
       memory_limit, gpu_limit, storage_limit, gpu_type, created_at, updated_at
FROM public.tenants WHERE deleted_at IS NULL;

CREATE FUNCTION compat.tenants_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
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
CREATE TRIGGER tenants_insert INSTEAD OF INSERT ON compat.tenants
  FOR EACH ROW EXECUTE FUNCTION compat.tenants_insert();

-- As `public.monitoring_data`, whose columns of DISTINCT ON are those that people filter on. A sample is numbered by its frame
-- and its place there.
CREATE VIEW compat.monitoring_data AS
SELECT DISTINCT ON (t.id::integer, s.metric_type, coalesce(w.metric_name, s.metric_name), s.data_source, f.ts, s.id)
       f.seq * 65536 + v.place AS id, t.id::integer AS tenant_id, s.metric_type,
       coalesce(w.metric_name, s.metric_name) AS metric_name, v.value AS metric_value, f.ts AS "timestamp", s.data_source,
       s.labels
FROM public.tenants t
JOIN public.frames f ON f.tenant = t.id
CROSS JOIN LATERAL unnest(f.series, f.samples) WITH ORDINALITY AS v (series, value, place)
JOIN public.series s ON s.id = v.series
LEFT JOIN public.written_names w ON w.series = s.id
WHERE t.deleted_at IS NULL
ORDER BY t.id::integer, s.metric_type, coalesce(w.metric_name, s.metric_name), s.data_source, f.ts, s.id, f.seq DESC;

CREATE FUNCTION compat.monitoring_data_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  name_is text := coalesce((canonical_metric(NEW.metric_name)).metric_name, NEW.metric_name);
BEGIN
  IF NOT EXISTS (SELECT FROM tenants WHERE id = NEW.tenant_id AND deleted_at IS NULL) THEN
    RAISE EXCEPTION 'there is no tenant with the id %', NEW.tenant_id USING ERRCODE = 'foreign_key_violation';
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
CREATE TRIGGER monitoring_data_insert INSTEAD OF INSERT ON compat.monitoring_data
  FOR EACH ROW EXECUTE FUNCTION compat.monitoring_data_insert();
