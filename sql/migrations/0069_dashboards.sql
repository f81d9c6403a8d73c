-- What dashboards lay over plots: deployments, maintenance and alerts, by tenant's name. Nothing in them is secret: no
-- conditions, no receivers, no options of a deployment.
CREATE VIEW deployment_history AS
SELECT t.tenant_id, d.deployment_id, d.method, d.status, d.message, d.created_at AS "start", d.finished_at AS "end"
FROM deployments d JOIN tenants t ON t.id = d.tenant
WHERE t.deleted_at IS NULL;

-- "start", "end": of the first occurrence; when others come, `rrule` says by the clock of `time_zone`.
CREATE VIEW maintenance_plan AS
SELECT t.tenant_id, m.title, m.reason, m.starts_at AS "start", m.starts_at + m.duration AS "end", m.rrule, m.time_zone,
       m.ends_at AS last_at
FROM maintenance m JOIN tenants t ON t.id = m.tenant
WHERE t.deleted_at IS NULL AND m.removed_at IS NULL AND (NOT m.needs_approval OR m.approved_at IS NOT NULL);

CREATE VIEW alert_history AS
SELECT t.tenant_id, e.alert_name, e.severity, e.from_state, e.to_state, e.at, e.value, e.threshold, e.metric, e.message
FROM alert_events e JOIN tenants t ON t.id = e.tenant
WHERE t.deleted_at IS NULL;
