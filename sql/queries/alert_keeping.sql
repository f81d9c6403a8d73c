-- name: forget_notifications
-- What was delivered. What is pending stays, and what was given up stays as long as its event.
WITH old AS (
  SELECT notification_id FROM notifications WHERE status = 'sent' AND finished_at < $1 ORDER BY finished_at LIMIT $2
), gone AS (
  DELETE FROM notifications n USING old WHERE n.notification_id = old.notification_id RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_events
-- An alert goes when all of it is old, it is over, and nothing about it waits for delivery.
WITH old AS (
  SELECT e.event_id FROM alert_events e
  WHERE e.at < $1
    AND NOT EXISTS (SELECT FROM alert_events l WHERE l.tenant = e.tenant AND l.alert_id = e.alert_id AND l.at >= $1)
    AND NOT EXISTS (SELECT FROM alert_states s WHERE s.alert_id = e.alert_id)
    AND NOT EXISTS (SELECT FROM recoveries r
                    WHERE r.tenant = e.tenant AND r.recovery_id = e.alert_id AND r.ended_at IS NULL)
    AND NOT EXISTS (SELECT FROM alert_events o JOIN notifications n USING (tenant, event_id)
                    WHERE o.tenant = e.tenant AND o.alert_id = e.alert_id AND n.status = 'pending')
    AND NOT EXISTS (SELECT FROM alert_events o JOIN notification_merges m USING (tenant, event_id)
                    JOIN notifications n USING (tenant, notification_id)
                    WHERE o.tenant = e.tenant AND o.alert_id = e.alert_id AND n.status = 'pending')
  ORDER BY e.at LIMIT $2
), gone AS (
  DELETE FROM alert_events e USING old WHERE e.event_id = old.event_id RETURNING 1
)
SELECT count(*) FROM gone

-- name: forget_external
-- Alertmanager repeats what still fires: forgotten too early it would act a second time. So what was not resolved
-- stays until $2.
WITH old AS (
  SELECT x.id FROM external_alerts x
  WHERE x.received_at < $1
    AND (x.received_at < $2
         OR EXISTS (SELECT FROM external_alerts r
                    WHERE r.tenant IS NOT DISTINCT FROM x.tenant AND r.fingerprint = x.fingerprint
                      AND r.starts_at = x.starts_at AND r.status = 'resolved'
                      AND r.received_at < $1))
  ORDER BY x.received_at LIMIT $3
), gone AS (
  DELETE FROM external_alerts x USING old WHERE x.id = old.id RETURNING 1
)
SELECT count(*) FROM gone
