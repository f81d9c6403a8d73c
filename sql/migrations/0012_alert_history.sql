-- What the gauges and the dashboard ask every few seconds must not read the history of alerts whole.
CREATE INDEX alert_events_firing ON alert_events (tenant, event_id DESC)
  WHERE to_state = 'firing' OR from_state = 'firing';
CREATE INDEX alert_events_recent ON alert_events (tenant, event_id DESC);
CREATE INDEX notifications_parked ON notifications (notification_id) WHERE status = 'parked';
