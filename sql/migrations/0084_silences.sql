-- Silences: what rules find while one is on changes states and is on record, and nobody is told of it
-- (ecpmon/sla/silences.py). Of one that is for several tenants each has a row.
CREATE TABLE silences (
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  silence_id  uuid NOT NULL,
  -- Which alerts: of this rule, of names like one of these, of one of these severities; what is not said is any.
  rule_id     uuid,
  alert_names text[] NOT NULL DEFAULT '{}' CHECK (cardinality(alert_names) <= 20),
  severities  text[] NOT NULL DEFAULT '{}' CHECK (severities <@ '{page,ticket,critical,warning,info}'),
  starts_at   timestamptz NOT NULL,
  duration    interval NOT NULL CHECK (duration > INTERVAL '0'),
  rrule       text CHECK (length(rrule) <= 500),
  time_zone   text NOT NULL,
  reason      text NOT NULL CHECK (length(reason) BETWEEN 1 AND 1000),
  created_by  text NOT NULL,
  created_at  timestamptz NOT NULL,
  -- From then on it silences nothing; NULL: it recurs, and nobody has ended it.
  ends_at     timestamptz CHECK (ends_at IS NOT NULL OR rrule IS NOT NULL),
  ended_by    text,
  PRIMARY KEY (tenant, silence_id)
);
CREATE INDEX silences_live ON silences (tenant, ends_at);
CREATE INDEX silences_by_id ON silences (silence_id);

-- Alerts that stand and that nobody was told of, as they were silenced. One that its rule has left means nothing.
CREATE TABLE alert_hushed (
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  rule_id    uuid NOT NULL,
  alert_id   uuid NOT NULL,
  silence_id uuid NOT NULL,
  since      timestamptz NOT NULL,
  PRIMARY KEY (tenant, rule_id)
);

-- The silence for which nobody was told of it.
ALTER TABLE alert_events ADD COLUMN silenced_by uuid;

-- Messages `keys` about events `numbers` of rules `of` of tenants `whose`, each by itself and due at `at`; or EC002: one may
-- not leave yet, or had better be merged into what waits, or may be silenced, which is found the long way
-- (ecpmon/storage/notifying.py, silencing.py). None has to wait or is to be merged as long as, with all of them let out,
--   greatest(busy_until, at) + their number * step <= at + burst * step, of each receiver and of the tenant, and
--   what is pending + their number <= crowd, of each endpoint,
-- which is what ecpmon/model/delivery.py finds one after the other.
CREATE OR REPLACE FUNCTION put_at_once(
  numbers bigint[], of uuid[], whose bigint[], keys uuid[], actions jsonb[], at timestamptz,
  burst integer, step interval, tenant_burst integer, tenant_step interval, crowd integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  receivers text[];
  endpoints text[];
  wanted bigint;
  let_out bigint;
BEGIN
  IF EXISTS (SELECT FROM silences s WHERE s.tenant = ANY(whose) AND (s.ends_at IS NULL OR s.ends_at > at))
     OR EXISTS (SELECT FROM alert_hushed h WHERE h.tenant = ANY(whose) AND h.rule_id = ANY(of)) THEN
    RAISE EXCEPTION 'some of it may be silenced: put the long way' USING ERRCODE = 'EC002';
  END IF;
  SELECT array_agg(notification_receiver(a.action) ORDER BY a.turn), array_agg(md5(a.action::text) ORDER BY a.turn)
  INTO receivers, endpoints FROM unnest(actions) WITH ORDINALITY AS a (action, turn);
  -- The messages of a tenant are put in one transaction after the other.
  INSERT INTO notification_rates AS r (tenant, receiver, busy_until)
  SELECT DISTINCT x.tenant, '', at FROM unnest(whose) AS x (tenant) ORDER BY 1
  ON CONFLICT (tenant, receiver) DO UPDATE SET busy_until = r.busy_until;
  PERFORM FROM unnest(whose, endpoints) AS x (tenant, endpoint) GROUP BY x.tenant, x.endpoint
  HAVING count(*) + (SELECT count(*) FROM (SELECT FROM notifications n WHERE n.tenant = x.tenant AND n.endpoint = x.endpoint
                                           AND n.status = 'pending' LIMIT crowd) AS waiting) > crowd;
  IF FOUND THEN
    RAISE EXCEPTION 'too much waits for an endpoint: put the long way' USING ERRCODE = 'EC002';
  END IF;
  WITH counts AS (
    SELECT x.tenant, x.receiver, count(*) AS messages, burst AS most, step AS each
    FROM unnest(whose, receivers) AS x (tenant, receiver) GROUP BY x.tenant, x.receiver
    UNION ALL
    SELECT x.tenant, '', count(*), tenant_burst, tenant_step FROM unnest(whose) AS x (tenant) GROUP BY x.tenant
  ), paced AS (
    INSERT INTO notification_rates AS r (tenant, receiver, busy_until)
    SELECT c.tenant, c.receiver, greatest(b.busy_until, at) + c.messages * c.each
    FROM counts c LEFT JOIN notification_rates b ON b.tenant = c.tenant AND b.receiver = c.receiver
    WHERE greatest(b.busy_until, at) + c.messages * c.each <= at + c.most * c.each
    ON CONFLICT (tenant, receiver) DO UPDATE SET busy_until = EXCLUDED.busy_until
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM counts), (SELECT count(*) FROM paced) INTO wanted, let_out;
  IF let_out <> wanted THEN
    RAISE EXCEPTION 'messages may not leave yet: put the long way' USING ERRCODE = 'EC002';
  END IF;
  INSERT INTO notifications (idempotency_key, tenant, rule_id, event_id, action, created_at, next_attempt_at)
  SELECT x.key, x.tenant, x.rule_id, x.event_id, x.action, at, at
  FROM unnest(keys, whose, of, numbers, actions) WITH ORDINALITY AS x (key, tenant, rule_id, event_id, action, turn) ORDER BY x.turn
  ON CONFLICT (tenant, idempotency_key) DO NOTHING;
END
$$;
