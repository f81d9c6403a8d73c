-- Relations for people and dashboards: one row per tenant and window, with names instead of numbers.
CREATE VIEW sla_status AS
SELECT t.tenant_id, t.name, c.window_name, c.as_of, c.status,
       100 * c.availability AS availability_percent, 100 * c.coverage AS coverage_percent, c.burn_rate,
       c.budget_remaining_seconds / 60 AS budget_remaining_minutes,
       100 * c.budget_remaining_fraction AS budget_remaining_percent
FROM sla_current c JOIN tenants t ON t.id = c.tenant
WHERE t.deleted_at IS NULL;

CREATE VIEW availability_timeline AS
SELECT t.tenant_id, lower(s.period) AS "start", upper(s.period) AS "end", s.state, s.reason
FROM availability_spans s JOIN tenants t ON t.id = s.tenant
WHERE t.deleted_at IS NULL;
