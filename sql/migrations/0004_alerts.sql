-- Alert rules, their state, every state change, and the outbox of notifications.

CREATE TABLE alert_rules (
  rule_id     uuid PRIMARY KEY,
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  alert_name  text NOT NULL CHECK (length(alert_name) BETWEEN 1 AND 200),
  kind        text NOT NULL CHECK (kind IN ('threshold', 'burn_rate', 'budget', 'no_data')),
  condition   text NOT NULL,
  for_seconds double precision NOT NULL DEFAULT 0 CHECK (for_seconds >= 0),
  severity    text NOT NULL CHECK (severity IN ('page', 'ticket', 'critical', 'warning', 'info')),
  actions     jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(actions) = 'array'),
  policy      text,
  created_at  timestamptz NOT NULL,
  UNIQUE (tenant, alert_name)
);

-- Where a rule stands; `for` needs nothing else, so it holds across restarts.
CREATE TABLE alert_states (
  rule_id       uuid PRIMARY KEY REFERENCES alert_rules (rule_id) ON DELETE CASCADE,
  status        text NOT NULL DEFAULT 'inactive' CHECK (status IN ('inactive', 'pending', 'firing')),
  since         timestamptz,
  pending_since timestamptz,
  held          interval NOT NULL DEFAULT INTERVAL '0',
  evaluated_at  timestamptz,
  value         double precision,
  frozen        boolean NOT NULL DEFAULT false,
  frozen_since  timestamptz,
  -- The alert this rule is in; a new one starts when it leaves `inactive`.
  alert_id      uuid,
  CHECK ((status = 'inactive') = (alert_id IS NULL))
) WITH (fillfactor = 70);

CREATE TABLE alert_events (
  event_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  -- No foreign key: the record outlives the rule.
  rule_id    uuid NOT NULL,
  alert_id   uuid NOT NULL,
  alert_name text NOT NULL,
  severity   text NOT NULL,
  kind       text NOT NULL,
  from_state text NOT NULL,
  to_state   text NOT NULL,
  at         timestamptz NOT NULL,
  value      double precision,
  threshold  double precision,
  metric     text,
  reason     text NOT NULL,
  message    text NOT NULL
);
CREATE INDEX alert_events_by_tenant ON alert_events (tenant, at DESC);

CREATE TABLE notifications (
  notification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  idempotency_key uuid NOT NULL UNIQUE,
  tenant          bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  rule_id         uuid NOT NULL,
  event_id        bigint NOT NULL REFERENCES alert_events (event_id) ON DELETE CASCADE,
  -- Notifications of one lane are delivered in order, one at a time.
  lane            text NOT NULL,
  action          jsonb NOT NULL,
  payload         jsonb NOT NULL,
  status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'parked')),
  attempts        integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  claimed_until   timestamptz,
  finished_at     timestamptz,
  last_status     integer,
  last_reason     text,
  last_answer     text,
  CHECK ((status = 'pending') = (finished_at IS NULL))
);
CREATE INDEX notifications_pending ON notifications (lane, notification_id) WHERE status = 'pending';
CREATE INDEX notifications_by_tenant ON notifications (tenant, notification_id DESC);

-- What Alertmanager told us; the same alert delivered twice is one row.
CREATE TABLE external_alerts (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant      bigint REFERENCES tenants (id) ON DELETE CASCADE,
  fingerprint text NOT NULL,
  starts_at   timestamptz NOT NULL,
  ends_at     timestamptz,
  status      text NOT NULL CHECK (status IN ('firing', 'resolved')),
  alert_name  text NOT NULL,
  severity    text NOT NULL,
  labels      jsonb NOT NULL,
  annotations jsonb NOT NULL,
  received_at timestamptz NOT NULL,
  UNIQUE (fingerprint, starts_at, status)
);
CREATE INDEX external_alerts_by_tenant ON external_alerts (tenant, received_at DESC);
