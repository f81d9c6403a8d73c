-- name: lock_tenant
SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE

-- name: of_tenant
SELECT o.*, t.tenant_id FROM objectives o JOIN tenants t ON t.id = o.tenant
WHERE o.tenant = $1 AND o.retired_at IS NULL ORDER BY o.name

-- name: of_all
-- Every live tenant, or those in $1: for jobs.
SELECT o.*, t.tenant_id FROM objectives o JOIN tenants t ON t.id = o.tenant
WHERE t.deleted_at IS NULL AND ($1::text[] IS NULL OR t.tenant_id = ANY($1)) AND o.retired_at IS NULL ORDER BY o.tenant, o.name

-- name: insert
INSERT INTO objectives (tenant, name, inherited, indicator, definition, created_at, counting)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: redefine
UPDATE objectives SET inherited = $3, definition = $4 WHERE tenant = $1 AND id = $2

-- name: retire
UPDATE objectives SET retired_at = greatest($3, created_at) WHERE tenant = $1 AND id = $2

-- name: retire_defaults
-- Inherited objectives that the rules no longer hold, or that count something else now. $1 names, $2 indicators,
-- $3 now, $4 tenants or NULL for all.
UPDATE objectives o SET retired_at = greatest($3, o.created_at)
WHERE o.inherited AND o.retired_at IS NULL AND ($4::bigint[] IS NULL OR o.tenant = ANY($4))
  AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::jsonb[]) AS d (name, indicator)
                  WHERE d.name = o.name AND d.indicator = o.indicator)

-- name: redefine_defaults
UPDATE objectives o SET definition = d.definition
FROM unnest($1::text[], $2::jsonb[]) AS d (name, definition)
WHERE o.inherited AND o.retired_at IS NULL AND o.name = d.name AND o.definition <> d.definition
  AND ($3::bigint[] IS NULL OR o.tenant = ANY($3))

-- name: insert_defaults
INSERT INTO objectives (tenant, name, inherited, indicator, definition, created_at, counting)
SELECT t.id, d.name, true, d.indicator, d.definition, $4, $6
FROM tenants t CROSS JOIN unnest($1::text[], $2::jsonb[], $3::jsonb[]) AS d (name, indicator, definition)
WHERE t.deleted_at IS NULL AND ($5::bigint[] IS NULL OR t.id = ANY($5))
  AND NOT EXISTS (SELECT FROM objectives o WHERE o.tenant = t.id AND o.name = d.name AND o.retired_at IS NULL)
ORDER BY t.id, d.name
ON CONFLICT DO NOTHING

-- part: counted_at
-- Of the objective `e.objective` everything that was counted before the instant `e.at`: `h` is the hour that holds it, or the
-- last before, and `f` the oldest that retention left, where there is none.
CASE WHEN h.objective IS NULL THEN coalesce(f.good_before, 0)
            ELSE h.good_before + ({through minute=h.k of=total} - {through minute=h.k of=bad}) END AS good,
       CASE WHEN h.objective IS NULL THEN coalesce(f.total_before, 0)
            ELSE h.total_before + {through minute=h.k of=total} END AS total,
       CASE WHEN h.objective IS NULL THEN coalesce(f.observed_before, 0)
            ELSE h.observed_before + {through minute=h.k of=observed} END AS observed

-- part: hours_at
LEFT JOIN LATERAL (
  SELECT *, least(extract(epoch FROM e.at - hour)::bigint / 60, 60)::int AS k FROM objective_hours
  WHERE objective = e.objective AND hour <= e.at ORDER BY hour DESC LIMIT 1
) AS h ON true
LEFT JOIN LATERAL (
  SELECT * FROM objective_hours WHERE h.objective IS NULL AND objective = e.objective ORDER BY hour LIMIT 1
) AS f ON true

-- name: sums
-- Everything counted before each instant (a whole minute) of each objective, in the order asked.
SELECT e.objective, e.at, {counted_at},
       CASE WHEN h.objective IS NULL THEN coalesce(f.bridged_before, 0)
            ELSE h.bridged_before + coalesce(h.bridged[h.k], 0) END AS bridged,
       CASE WHEN h.objective IS NULL THEN coalesce(f.resets_before, 0)
            ELSE h.resets_before + coalesce(h.resets[h.k], 0) END AS resets
FROM unnest($1::bigint[], $2::timestamptz[]) AS e (objective, at)
{hours_at}

-- name: holes
-- Those that one of the instants cuts, by objective; of what was not counted all since the first of them.
WITH e AS MATERIALIZED (SELECT * FROM unnest($1::bigint[], $2::timestamptz[]) AS e (objective, at))
SELECT h.objective, h.starts, h.ends, h.good, h.total, h.bridged, h.told
FROM e JOIN objective_holes h ON h.objective = e.objective AND tstzrange(h.starts, h.ends, '(]') @> e.at
UNION
SELECT h.objective, h.starts, h.ends, h.good, h.total, h.bridged, h.told
FROM (SELECT objective, min(at) AS first FROM e GROUP BY 1) AS w
JOIN objective_holes h ON h.objective = w.objective AND NOT h.told AND h.ends >= w.first
ORDER BY 1, 2, 3, 7

-- name: promised
-- What alerts need of those of the objectives $1 that are in force, and what was counted before each of the instants $2, as
-- `sums` finds it.
SELECT o.id, o.tenant, (o.definition->>'target')::float8 AS target, o.definition->'windows'->>0 AS window_name,
       o.definition->>'kind' = 'requests' OR o.definition ? 'histogram' AS events,
       -- What is good or bad of it nobody counts: nothing is known of it.
       CASE WHEN o.part_known IS NOT FALSE THEN o.first_at END AS first_at, s.good, s.total, s.observed
FROM objectives o CROSS JOIN LATERAL (
  SELECT array_agg(c.good ORDER BY c.place) AS good, array_agg(c.total ORDER BY c.place) AS total,
         array_agg(c.observed ORDER BY c.place) AS observed
  FROM (
    SELECT e.place, {counted_at}
    FROM (SELECT o.id AS objective, i.at, i.place FROM unnest($2::timestamptz[]) WITH ORDINALITY AS i (at, place)) AS e
    {hours_at}
  ) AS c
) AS s
WHERE o.id = ANY($1::bigint[]) AND o.retired_at IS NULL

-- name: hours
-- Of the objective $2 of the tenant $1, from the last hour that begins at $3 or before, to $4.
SELECT h.hour, {hour_lines}, h.good_before, h.total_before, h.observed_before
FROM objective_hours h JOIN objectives o ON o.id = h.objective
WHERE o.tenant = $1 AND h.objective = $2 AND h.hour < $4
  AND h.hour >= coalesce((SELECT max(hour) FROM objective_hours WHERE objective = $2 AND hour <= $3), '-infinity')
ORDER BY h.hour

-- name: series
SELECT data_source, metric_name, labels FROM series WHERE tenant = $1 AND metric_name = ANY($2::text[])
ORDER BY metric_name, id

-- name: statuses
SELECT c.objective, c.window_name, c.status FROM objective_current c JOIN objectives o ON o.id = c.objective
WHERE o.tenant = ANY($1::bigint[]) AND o.retired_at IS NULL

-- name: store_current
INSERT INTO objective_current AS c (objective, window_name, as_of, status)
SELECT x.objective, x.window_name, $2, x.status
FROM unnest($1::bigint[], $3::text[], $4::text[]) AS x (objective, window_name, status)
JOIN objectives o ON o.id = x.objective
ORDER BY 1, 2
ON CONFLICT (objective, window_name) DO UPDATE SET as_of = excluded.as_of, status = excluded.status
-- A clock that was ahead for a moment does not keep its word for ever.
WHERE c.as_of <= excluded.as_of OR c.as_of > excluded.as_of + INTERVAL '10 minutes'

-- name: drop_hours
DELETE FROM objective_hours WHERE hour < $1

-- name: drop_holes
DELETE FROM objective_holes WHERE ends < $1

-- name: drop_objectives
-- Retired ones without counts left.
DELETE FROM objectives o WHERE o.retired_at < $1
  AND NOT EXISTS (SELECT FROM objective_hours h WHERE h.objective = o.id)
