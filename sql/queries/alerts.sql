-- name: count_rules
-- Those that tenant $1 made itself.
SELECT count(*) FROM tenants t JOIN alert_rules r ON r.tenant = t.id AND r.kind = 'threshold'
WHERE t.tenant_id = $1 AND t.deleted_at IS NULL

-- name: lock_rules
-- Until the end of the transaction nobody else adds a rule of tenant $1. A statement of its own: what is counted after it
-- is counted after those who were before us.
SELECT FROM tenants WHERE tenant_id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE

-- name: insert_rule
WITH made AS (
  INSERT INTO alert_rules (rule_id, tenant, alert_name, kind, condition, for_seconds, severity, actions, policy, objective, objective_key,
                           created_at)
  SELECT $1, t.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM tenants t
  WHERE t.tenant_id = $2 AND t.deleted_at IS NULL RETURNING rule_id, tenant
), stated AS (
  INSERT INTO alert_states (rule_id) SELECT rule_id FROM made
)
SELECT tenant FROM made

-- name: insert_missing_rules
-- Of live tenants, without those whose name their tenant has already.
WITH made AS (
  INSERT INTO alert_rules (rule_id, tenant, alert_name, kind, condition, for_seconds, severity, actions, policy, objective, objective_key,
                           created_at)
  SELECT x.rule_id, t.id, x.alert_name, x.kind, x.condition, x.for_seconds, x.severity, x.actions::jsonb, x.policy, x.objective,
         x.objective_key, x.created_at
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::bigint[], $12::timestamptz[])
    AS x (rule_id, tenant_id, alert_name, kind, condition, for_seconds, severity, actions, policy, objective, objective_key,
          created_at)
  JOIN tenants t ON t.tenant_id = x.tenant_id AND t.deleted_at IS NULL
  ORDER BY t.id, x.alert_name
  ON CONFLICT (tenant, alert_name) DO NOTHING RETURNING rule_id
)
INSERT INTO alert_states (rule_id) SELECT rule_id FROM made

-- name: rules
SELECT r.*, t.tenant_id, s.status, s.since, s.pending_since, s.held, s.evaluated_at, s.value, s.frozen,
       s.frozen_since, s.alert_id, s.flaps
FROM alert_rules r JOIN tenants t ON t.id = r.tenant JOIN alert_states s USING (rule_id)
WHERE r.tenant = $1 AND ($2::uuid IS NULL OR r.rule_id = $2)
ORDER BY r.created_at, r.alert_name

-- name: all_rules
-- Live tenants' rules, for the engine, which serves them all; without those about objectives, which the roster holds.
SELECT r.*, t.tenant_id, s.status, s.since, s.pending_since, s.held, s.evaluated_at, s.value, s.frozen,
       s.frozen_since, s.alert_id, s.flaps, clock_timestamp() AS read_at
FROM alert_rules r JOIN tenants t ON t.id = r.tenant JOIN alert_states s USING (rule_id)
WHERE t.deleted_at IS NULL AND t.tenant_id = ANY($1::text[]) AND r.objective IS NULL
ORDER BY t.id, r.created_at, r.alert_name

-- name: tenants_with_rules
SELECT t.tenant_id FROM tenants t
WHERE t.deleted_at IS NULL AND EXISTS (SELECT FROM alert_rules r WHERE r.tenant = t.id) ORDER BY t.id

-- name: lock_state
-- Until the end of the transaction the rule stays in this state of this alert.
SELECT s.rule_id FROM alert_states s JOIN alert_rules r USING (rule_id)
WHERE r.tenant = $1 AND r.rule_id = $2 AND s.status = $3 AND s.alert_id IS NOT DISTINCT FROM $4::uuid
FOR UPDATE OF s

-- name: replace_rule
UPDATE alert_rules r
SET alert_name = $3, kind = $4, condition = $5, for_seconds = $6, severity = $7, actions = $8, policy = $9,
    objective = $10, objective_key = $11
WHERE r.rule_id = $1 AND r.tenant = $2

-- name: reset_state
UPDATE alert_states s
SET status = $3, since = $4, pending_since = $5, held = $6, evaluated_at = $7, value = $8, frozen = $9,
    frozen_since = $10, flaps = $11, alert_id = $12
FROM alert_rules r WHERE s.rule_id = $1 AND r.rule_id = s.rule_id AND r.tenant = $2

-- name: delete_rule
DELETE FROM alert_rules WHERE tenant = $1 AND rule_id = $2 RETURNING rule_id

-- name: move_at_once
-- What rules move to, its events and the messages about them (`storage.moving`); in whose name first.
-- Which queues the messages wait in.
SELECT taken, numbers,
       (SELECT jsonb_agg(DISTINCT jsonb_build_array(r.tenant, notification_receiver(x.action)))
        FROM unnest($34::integer[], $36::jsonb[]) AS x (place, action)
        JOIN alert_rules r ON r.rule_id = ($20::uuid[])[x.place]) AS queues
FROM move_at_once($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
  $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41,
  $42)

-- name: move
SELECT move_rules($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)

-- name: go_on
-- Rules $1 whose state only goes on: only where it still is as it was, $2 and $3. Which those were.
UPDATE alert_states s SET evaluated_at = $6, held = x.held, value = x.value
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::interval[], $5::float8[])
     AS x (rule_id, status, evaluated_at, held, value)
WHERE s.rule_id = x.rule_id AND s.status = x.status AND s.evaluated_at IS NOT DISTINCT FROM x.evaluated_at
RETURNING s.rule_id

-- name: record_events
-- In their order.
SELECT numbers, tenants FROM record_alert_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)

-- name: recent_events
SELECT e.*, t.tenant_id FROM alert_events e JOIN tenants t ON t.id = e.tenant
WHERE e.tenant = $1 ORDER BY e.event_id DESC LIMIT $2

-- name: events
-- Told by number over the bus: of the tenants $1.
SELECT e.*, t.tenant_id FROM alert_events e JOIN tenants t ON t.id = e.tenant
WHERE e.tenant = ANY($1::bigint[]) AND e.event_id = ANY($2::bigint[]) ORDER BY e.event_id

-- name: external_by_numbers
SELECT x.*, t.tenant_id FROM external_alerts x JOIN tenants t ON t.id = x.tenant
WHERE x.tenant = ANY($1::bigint[]) AND x.id = ANY($2::bigint[]) ORDER BY x.id

-- name: last_events
-- One look-up per tenant of $1, whatever the length of its history. That somebody has seen an alert is no change of it.
SELECT e.*, t.tenant_id FROM unnest($1::bigint[]) AS a (number) JOIN tenants t ON t.id = a.number CROSS JOIN LATERAL (
  SELECT * FROM alert_events
  WHERE tenant = a.number AND (to_state = 'firing' OR from_state = 'firing') AND reason NOT IN ('acknowledged', 'unacknowledged')
  ORDER BY event_id DESC LIMIT 1
) e

-- name: live_tenants
SELECT id, tenant_id FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL
ORDER BY id FOR KEY SHARE

-- name: record_external
-- In one order, so that two deliveries of the same alerts cannot deadlock.
INSERT INTO external_alerts (tenant, fingerprint, starts_at, ends_at, status, alert_name, severity, labels, annotations,
                             received_at)
SELECT x.*, $10 FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[],
                            $7::text[], $8::jsonb[], $9::jsonb[])
                     AS x (tenant, fingerprint, starts_at, ends_at, status, alert_name, severity, labels, annotations)
ORDER BY x.tenant, x.fingerprint, x.starts_at, x.status
ON CONFLICT (tenant, fingerprint, starts_at, status) DO NOTHING
RETURNING tenant, fingerprint, starts_at, status

-- name: recent_external
SELECT * FROM external_alerts WHERE tenant = $1 ORDER BY id DESC LIMIT $2

-- name: external_page
-- Of tenant $1, of the status $2 or any, the newest first.
SELECT * FROM external_alerts WHERE tenant = $1 AND ($2::text IS NULL OR status = $2)
ORDER BY received_at DESC, id DESC OFFSET $3 LIMIT $4

-- name: tenants_without_sla_rules
SELECT t.tenant_id FROM tenants t
WHERE t.deleted_at IS NULL
  AND (SELECT count(*) FROM alert_rules r WHERE r.tenant = t.id AND r.kind <> 'threshold' AND r.objective IS NULL) < 5

-- name: tenants_with_other_objectives
-- Live tenants with an objective that lacks some of its $1 rules, or with a rule of an objective that is not in force, or not
-- to be told of.
WITH promised AS (
  SELECT o.id, o.tenant, NOT o.inherited OR o.first_at IS NOT NULL AS has_rules FROM objectives o
  WHERE o.retired_at IS NULL AND coalesce((o.definition->>'alerts')::boolean, true)
), held AS (
  SELECT r.tenant, r.objective_key, count(*) AS rules FROM alert_rules r WHERE r.objective IS NOT NULL
  GROUP BY r.tenant, r.objective_key
), other AS MATERIALIZED (
  -- Once, whatever the planner expects: not for each tenant.
  SELECT DISTINCT coalesce(p.tenant, h.tenant) AS tenant
  FROM promised p FULL JOIN held h ON h.tenant = p.tenant AND h.objective_key = p.id
  WHERE p.id IS NULL OR (p.has_rules AND coalesce(h.rules, 0) < $1)
)
SELECT t.tenant_id FROM other JOIN tenants t ON t.id = other.tenant WHERE t.deleted_at IS NULL ORDER BY t.id
