-- Flap control of rules: what it remembers must outlive whoever evaluates.
ALTER TABLE alert_states ADD COLUMN flaps jsonb CHECK (jsonb_typeof(flaps) = 'object');
-- A rule that flaps stays in its alert while it is inactive.
ALTER TABLE alert_states DROP CONSTRAINT alert_states_check;
ALTER TABLE alert_states ADD CONSTRAINT alert_states_alert
  CHECK ((status = 'inactive' AND flaps->>'since' IS NULL) = (alert_id IS NULL));

-- Whether the rule flaps after the event, and how many changes before it nobody was told of.
ALTER TABLE alert_events
  ADD COLUMN flapping boolean NOT NULL DEFAULT false,
  ADD COLUMN suppressed integer NOT NULL DEFAULT 0 CHECK (suppressed >= 0);

DROP TRIGGER tenant_changed ON alert_states;
CREATE TRIGGER tenant_changed AFTER UPDATE ON alert_states FOR EACH ROW
  WHEN ((OLD.status, OLD.frozen, OLD.since, OLD.alert_id, OLD.flaps)
        IS DISTINCT FROM (NEW.status, NEW.frozen, NEW.since, NEW.alert_id, NEW.flaps))
  EXECUTE FUNCTION tenant_changed_by_state();
