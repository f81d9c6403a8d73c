-- Notifications wait in one queue per tenant and receiver, and are merged when they come faster than they may leave.

-- Where an action goes to: one server or one mailbox.
CREATE FUNCTION notification_receiver(action jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT lower(coalesce(substring(action->>'url' from '^[A-Za-z]+://[^/?#]+'), 'mailto:' || (action->'recipients'->>0), 'unknown'))
$$;

-- The message about an event, the same for everybody whom it is told to.
ALTER TABLE alert_events ADD COLUMN body jsonb;

ALTER TABLE notifications
  ADD COLUMN receiver text NOT NULL GENERATED ALWAYS AS (notification_receiver(action)) STORED,
  -- One action as it stands: only what goes to the same endpoint can become one message.
  ADD COLUMN endpoint text NOT NULL GENERATED ALWAYS AS (md5(action::text)) STORED,
  -- The rules of what was merged into this one. In order per rule: it waits for what is earlier about any of them.
  ADD COLUMN merged_rules uuid[] NOT NULL DEFAULT '{}',
  ADD COLUMN resent_at timestamptz,
  -- NULL: the body of its event.
  ALTER COLUMN payload DROP NOT NULL,
  DROP COLUMN lane;
DROP INDEX notifications_by_tenant;
ALTER TABLE notifications ADD CONSTRAINT notifications_of_tenant UNIQUE (tenant, notification_id);
CREATE INDEX notifications_due ON notifications (tenant, receiver, next_attempt_at, notification_id) WHERE status = 'pending';
CREATE INDEX notifications_waiting ON notifications (tenant, endpoint, notification_id) WHERE status = 'pending';

-- What was merged: the event is told by that notification and has none of its own for that endpoint.
CREATE TABLE notification_merges (
  tenant          bigint NOT NULL,
  notification_id bigint NOT NULL,
  event_id        bigint NOT NULL,
  PRIMARY KEY (tenant, notification_id, event_id),
  FOREIGN KEY (tenant, notification_id) REFERENCES notifications (tenant, notification_id) ON DELETE CASCADE,
  FOREIGN KEY (tenant, event_id) REFERENCES alert_events (tenant, event_id) ON DELETE CASCADE
);
CREATE INDEX notification_merges_by_event ON notification_merges (tenant, event_id);

-- Until when the messages that were let out take up the rate of a receiver; the empty receiver is the tenant as a whole.
CREATE TABLE notification_rates (
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  receiver   text NOT NULL,
  busy_until timestamptz NOT NULL,
  PRIMARY KEY (tenant, receiver)
);

-- Receivers in trouble; one without a row is well.
CREATE TABLE receiver_troubles (
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  receiver    text NOT NULL,
  -- In a row.
  failures    integer NOT NULL CHECK (failures > 0),
  failed_at   timestamptz NOT NULL,
  -- It asked to be left alone until then (Retry-After).
  asked_until timestamptz,
  PRIMARY KEY (tenant, receiver)
);

-- Who had what was given up sent again, and how it had ended before.
CREATE TABLE notification_resends (
  resend_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant          bigint NOT NULL,
  notification_id bigint NOT NULL,
  resent_at       timestamptz NOT NULL,
  resent_by       text NOT NULL,
  note            text,
  attempts        integer NOT NULL,
  last_status     integer,
  last_reason     text,
  last_answer     text,
  FOREIGN KEY (tenant, notification_id) REFERENCES notifications (tenant, notification_id) ON DELETE CASCADE
);
CREATE INDEX notification_resends_by_notification ON notification_resends (tenant, notification_id);

-- The driver cannot read years beyond 1 to 9999, and one such row fails the whole query.
DO $$
DECLARE
  it record;
BEGIN
  FOR it IN SELECT * FROM (VALUES
    ('notifications', 'resent_at'), ('notification_rates', 'busy_until'), ('receiver_troubles', 'failed_at'),
    ('receiver_troubles', 'asked_until'), ('notification_resends', 'resent_at'), ('webhook_keys', 'shown_at'),
    ('webhook_keys', 'signs_until')) AS c (t, c)
  LOOP
    EXECUTE format('ALTER TABLE %1$I ADD CONSTRAINT %3$I CHECK (%2$I BETWEEN %4$L AND %5$L)', it.t, it.c,
                   it.t || '_' || it.c || '_readable', '0001-01-01T00:00:00Z', '9999-12-31T00:00:00Z');
  END LOOP;
END
$$;
