-- Lists show availability with its bounds, as GET /sla does: null until the next evaluation, a minute away at most.

ALTER TABLE sla_current
  ADD COLUMN low double precision CHECK (low BETWEEN 0 AND 1),
  ADD COLUMN high double precision CHECK (high BETWEEN 0 AND 1);

CREATE OR REPLACE VIEW sla_status AS
SELECT t.tenant_id, t.name, c.window_name, c.as_of, c.status,
       100 * c.availability AS availability_percent, 100 * c.coverage AS coverage_percent, c.burn_rate,
       c.budget_remaining_seconds / 60 AS budget_remaining_minutes,
       100 * c.budget_remaining_fraction AS budget_remaining_percent,
       100 * c.low AS availability_low_percent, 100 * c.high AS availability_high_percent
FROM sla_current c JOIN tenants t ON t.id = c.tenant
WHERE t.deleted_at IS NULL;
