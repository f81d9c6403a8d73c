-- name: changed
-- Tenants that changed since the horizon $1 of the answer before, and the horizon of this one. NULL: none are asked for.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS horizon, clock_timestamp() AS now,
       ARRAY(SELECT tenant FROM tenant_changes WHERE xid >= $1::text::xid8) AS tenants

-- name: live
-- Of the numbers $1, NULL for all.
SELECT id, tenant_id FROM tenants WHERE deleted_at IS NULL AND ($1::bigint[] IS NULL OR id = ANY($1)) ORDER BY id

-- name: tenants
SELECT {tenant_columns} FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL

-- name: rules
SELECT r.*, t.tenant_id, s.status, s.since, s.pending_since, s.held, s.evaluated_at, s.value, s.frozen,
       s.frozen_since, s.alert_id, s.flaps
FROM alert_rules r JOIN tenants t ON t.id = r.tenant JOIN alert_states s USING (rule_id)
WHERE r.tenant = ANY($1::bigint[])
ORDER BY r.tenant, r.created_at, r.alert_name

-- name: maintenance
SELECT * FROM maintenance WHERE tenant = ANY($1::bigint[]) AND removed_at IS NULL
ORDER BY tenant, starts_at, maintenance_id
