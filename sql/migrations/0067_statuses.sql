-- What a tenant's status is owed to, and what it was before a deployment.

ALTER TABLE tenants
  -- Why it is not running, or not known to run; empty: nothing to say.
  ADD COLUMN status_reason text NOT NULL DEFAULT '';
ALTER TABLE deployments
  -- The tenant's status when it was asked for: a deployment that changes nothing leaves that behind.
  ADD COLUMN tenant_before text;
