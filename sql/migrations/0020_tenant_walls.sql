-- Tenants are walls in the keys as well: what one says must never be taken for what another says.

-- The same alert delivered twice is one row, of its tenant. NULL is the cluster as a whole.
ALTER TABLE external_alerts DROP CONSTRAINT external_alerts_fingerprint_starts_at_status_key;
ALTER TABLE external_alerts
  ADD CONSTRAINT external_alerts_once UNIQUE NULLS NOT DISTINCT (fingerprint, starts_at, status, tenant);

-- A notification is about an event of its own tenant. The new key serves the newest events of a tenant as well.
ALTER TABLE alert_events ADD CONSTRAINT alert_events_of_tenant UNIQUE (tenant, event_id);
DROP INDEX alert_events_recent;
ALTER TABLE notifications
  DROP CONSTRAINT notifications_event_id_fkey,
  ADD CONSTRAINT notifications_event FOREIGN KEY (tenant, event_id)
    REFERENCES alert_events (tenant, event_id) ON DELETE CASCADE,
  DROP CONSTRAINT notifications_idempotency_key_key,
  ADD CONSTRAINT notifications_once UNIQUE (tenant, idempotency_key);
