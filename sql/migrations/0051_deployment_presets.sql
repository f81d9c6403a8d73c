-- Which preset a tenant had when a deployment of ours was asked for; NULL for those that somebody else made and told us of.
-- What `ecp_tenant_deployment_duration_seconds` counts must not move when the tenant changes its preset.
ALTER TABLE deployments ADD COLUMN preset text;
UPDATE deployments d SET preset = t.preset FROM tenants t
WHERE t.id = d.tenant AND d.requested_at IS NOT NULL AND NOT starts_with(d.deployment_id, 'ci-');
CREATE INDEX deployments_durations ON deployments (tenant, preset) INCLUDE (requested_at, finished_at)
  WHERE status = 'completed' AND preset IS NOT NULL;
