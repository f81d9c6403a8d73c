-- What rules move to, the events of it and the messages about them are one statement (ecpmon/storage/alerts.py).

-- New events of rules `of`, in their order: their numbers, and of which tenants they are.
CREATE FUNCTION record_alert_events(
  of uuid[], owners text[], alerts uuid[], from_states text[], to_states text[], ats timestamptz[], readings float8[],
  thresholds float8[], metrics text[], reasons text[], messages text[], bodies jsonb[], flapping bool[], suppressed integer[],
  OUT numbers bigint[], OUT tenants bigint[]
) LANGUAGE plpgsql AS $$
BEGIN
  WITH made AS (
    INSERT INTO alert_events (tenant, rule_id, alert_id, alert_name, severity, kind, from_state, to_state, at, value,
                              threshold, metric, reason, message, body, flapping, suppressed, objective)
    SELECT r.tenant, r.rule_id, x.alert_id, r.alert_name, r.severity, r.kind, x.from_state, x.to_state, x.at, x.value,
           x.threshold, x.metric, x.reason, x.message, x.body, x.flapping, x.suppressed, r.objective
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) WITH ORDINALITY
      AS x (rule_id, tenant_id, alert_id, from_state, to_state, at, value, threshold, metric, reason, message, body, flapping,
            suppressed, place)
    JOIN alert_rules r ON r.rule_id = x.rule_id JOIN tenants t ON t.id = r.tenant AND t.tenant_id = x.tenant_id
    ORDER BY x.place
    RETURNING event_id, tenant
  )
  SELECT array_agg(m.event_id ORDER BY m.event_id), array_agg(m.tenant ORDER BY m.event_id) INTO numbers, tenants FROM made m;
END
$$;

-- Messages `keys` about events `numbers` of rules `of` of tenants `whose`, each by itself and due at `at`; or EC002: one may
-- not leave yet, or had better be merged into what waits, which is found the long way (ecpmon/storage/notifying.py). None is
-- so as long as, with all of them let out,
--   greatest(busy_until, at) + their number * step <= at + burst * step, of each receiver and of the tenant, and
--   what is pending + their number <= crowd, of each endpoint,
-- which is what ecpmon/model/delivery.py finds one after the other.
CREATE FUNCTION put_at_once(
  numbers bigint[], of uuid[], whose bigint[], keys uuid[], actions jsonb[], at timestamptz,
  burst integer, step interval, tenant_burst integer, tenant_step interval, crowd integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  receivers text[];
  endpoints text[];
  wanted bigint;
  let_out bigint;
BEGIN
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

-- Rules `moved` of live tenants of the names `owners`: rules of deleted ones stand still. Only where they are still as they
-- `were`, and were not read (`read_at`) longer than `read_for` ago. In one order, so that two who move the same rules cannot
-- deadlock. Which those were (`taken`).
CREATE FUNCTION move_rules(
  moved uuid[], owners text[], were text[], were_at timestamptz[], statuses text[], sinces timestamptz[], pending timestamptz[],
  helds interval[], evaluated timestamptz[], readings float8[], froze bool[], froze_at timestamptz[], flapped jsonb[],
  alerts uuid[], read_at timestamptz[], read_for interval, OUT taken uuid[]
) LANGUAGE plpgsql AS $$
BEGIN
  WITH x AS (
    SELECT * FROM unnest(moved, owners, were, were_at, statuses, sinces, pending, helds, evaluated, readings, froze, froze_at,
                         flapped, alerts, read_at)
      AS x (rule_id, tenant_id, was, was_at, status, since, pending_since, held, evaluated_at, value, frozen, frozen_since,
            flaps, alert_id, read_at)
  ), locked AS MATERIALIZED (
    SELECT s.rule_id FROM alert_states s WHERE s.rule_id = ANY(moved) ORDER BY s.rule_id FOR UPDATE
  ), stored AS (
    UPDATE alert_states s
    SET status = x.status, since = x.since, pending_since = x.pending_since, held = x.held, evaluated_at = x.evaluated_at,
        value = x.value, frozen = x.frozen, frozen_since = x.frozen_since, flaps = x.flaps, alert_id = x.alert_id
    FROM x JOIN locked ON locked.rule_id = x.rule_id JOIN alert_rules r ON r.rule_id = x.rule_id
      JOIN tenants t ON t.id = r.tenant
    WHERE s.rule_id = x.rule_id AND t.tenant_id = x.tenant_id AND t.deleted_at IS NULL
      AND s.status = x.was AND s.evaluated_at IS NOT DISTINCT FROM x.was_at
      AND (x.read_at IS NULL OR clock_timestamp() < x.read_at + read_for)
    RETURNING s.rule_id
  )
  SELECT coalesce(array_agg(stored.rule_id), '{}') INTO taken FROM stored;
END
$$;

-- All of it, in the name of `holder`, who leads as `led` in `my_term` (NULL: in nobody's). Events are of the rules `of` in
-- their order; the message `keys[n]` is about the `told[n]`th of them. If it cannot be so, nothing is stored: EC001 (the term
-- is over), or EC002.
CREATE FUNCTION move_at_once(
  led text, my_term bigint, holder uuid,
  moved uuid[], owners text[], were text[], were_at timestamptz[], statuses text[], sinces timestamptz[], pending timestamptz[],
  helds interval[], evaluated timestamptz[], readings float8[], froze bool[], froze_at timestamptz[], flapped jsonb[],
  alerts uuid[], read_at timestamptz[], read_for interval,
  of uuid[], event_owners text[], event_alerts uuid[], from_states text[], to_states text[], ats timestamptz[],
  event_readings float8[], thresholds float8[], metrics text[], reasons text[], messages text[], bodies jsonb[],
  flapping bool[], suppressed integer[],
  told integer[], keys uuid[], actions jsonb[], at timestamptz,
  burst integer, step interval, tenant_burst integer, tenant_step interval, crowd integer,
  OUT taken uuid[], OUT numbers bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  tenants bigint[];
BEGIN
  IF led IS NOT NULL THEN
    PERFORM check_leadership(led, my_term, holder);
  END IF;
  taken := move_rules(moved, owners, were, were_at, statuses, sinces, pending, helds, evaluated, readings, froze, froze_at,
                      flapped, alerts, read_at, read_for);
  IF cardinality(taken) = 0 OR cardinality(of) = 0 THEN
    RETURN;
  END IF;
  IF cardinality(taken) < cardinality(moved) THEN
    RAISE EXCEPTION 'not all rules are as they were read: stored the long way' USING ERRCODE = 'EC002';
  END IF;
  SELECT r.numbers, r.tenants INTO numbers, tenants
  FROM record_alert_events(of, event_owners, event_alerts, from_states, to_states, ats, event_readings, thresholds, metrics,
                           reasons, messages, bodies, flapping, suppressed) r;
  IF cardinality(keys) > 0 THEN
    PERFORM put_at_once(array_agg(numbers[x.place] ORDER BY x.turn), array_agg(of[x.place] ORDER BY x.turn),
                        array_agg(tenants[x.place] ORDER BY x.turn), keys, actions, at, burst, step, tenant_burst,
                        tenant_step, crowd)
    FROM unnest(told) WITH ORDINALITY AS x (place, turn);
  END IF;
END
$$;
