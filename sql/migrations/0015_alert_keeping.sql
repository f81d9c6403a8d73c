-- Retention of alerts finds what is old without reading the history whole. Deleting an event looks for its notifications,
-- which without their index is a scan of all of them per event.
CREATE INDEX alert_events_by_time ON alert_events (at);
CREATE INDEX alert_events_by_alert ON alert_events (alert_id, at);
CREATE INDEX notifications_by_event ON notifications (event_id);
CREATE INDEX notifications_sent ON notifications (finished_at) WHERE status = 'sent';
CREATE INDEX external_alerts_by_time ON external_alerts (received_at);
