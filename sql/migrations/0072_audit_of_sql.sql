-- Who makes a tenant by SQL is in the audit log as who makes one over HTTP: under the name of the role.
CREATE FUNCTION compat.note_tenant(made compat.tenants) RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
  WITH given AS (
    SELECT jsonb_build_object('tenant_id', made.tenant_id, 'name', made.name, 'preset', made.preset, 'is_demo', made.is_demo,
                              'service_requirements', made.service_requirements, 'sla_target', made.sla_target) AS told
  )
  INSERT INTO audit_log (at, actor, address, tenant, action, subject, after)
  SELECT clock_timestamp(), left(session_user, 200), host(inet_client_addr()), made.id, 'tenant.created',
         left(made.tenant_id, 200),
         CASE WHEN length(told::text) <= 16384 THEN told ELSE jsonb_build_object('omitted_bytes', length(told::text)) END
  FROM given
$$;
REVOKE ALL ON FUNCTION compat.note_tenant(compat.tenants) FROM PUBLIC;

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
  PERFORM compat.note_tenant(NEW);
  RETURN NEW;
END
$$;
