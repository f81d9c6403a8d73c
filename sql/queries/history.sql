-- name: turns
-- Nobody else packs, unpacks or rolls up until this transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('ecpmon packing', 0)), pg_advisory_xact_lock(hashtextextended('ecpmon rollups', 0))

-- name: open_hours
-- Of the hours $2 of the tenants $1, between $3 and before $4, those that have frames, or marks of frames.
SELECT x.tenant, x.hour FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, hour)
WHERE EXISTS (SELECT FROM frames f WHERE f.tenant = x.tenant AND f.ts >= x.hour AND f.ts < x.hour + INTERVAL '1 hour'
              AND f.ts >= $3 AND f.ts < $4)
   OR EXISTS (SELECT FROM rollup_dirty d
              WHERE d.tenant = x.tenant AND d.bucket >= x.hour AND d.bucket < x.hour + INTERVAL '1 hour')

-- name: packed_there
-- What is packed of those hours.
SELECT p.tenant, p.hour, p.part, p.series || p.as_told AS series
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, hour) JOIN packed_hours p ON p.tenant = x.tenant AND p.hour = x.hour
WHERE p.hour >= $3 AND p.hour < $4

-- name: take_parts
-- The samples of the parts $3 of tenant $1 in hour $2, which are taken out; instants in microseconds after $2.
WITH held AS MATERIALIZED (
  SELECT series, array_agg((extract(epoch FROM ts - $2) * 1000000)::bigint) AS at, array_agg(value) AS values
  FROM packed.samples WHERE tenant = $1 AND hour = $2 AND part = ANY($3::integer[]) GROUP BY series
), taken AS (
  DELETE FROM packed_hours WHERE tenant = $1 AND hour = $2 AND part = ANY($3::integer[])
)
SELECT series, at, values FROM held

-- name: answering
-- Series from which it follows whether anything was answered, and response times, of tenants that have these.
SELECT tenant, array_agg(id) FILTER (WHERE metric_name = 'up') AS up,
       array_agg(id) FILTER (WHERE metric_name = 'error_rate') AS error_rate,
       array_agg(id) FILTER (WHERE metric_name = 'response_time') AS response_time
FROM series
WHERE tenant = ANY($1::bigint[]) AND metric_name IN ('up', 'error_rate', 'response_time') AND labels = '{}'
GROUP BY tenant, data_source
HAVING count(*) FILTER (WHERE metric_name = 'response_time') BETWEEN 1 AND count(*) - 1

-- part: rolled
SELECT r.tenant, r.bucket, r.series, r.total, r.low, r.high, r.points, r.unanswered_total, r.unanswered
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, hour)
JOIN {tier} r ON r.tenant = x.tenant AND r.bucket >= x.hour AND r.bucket < x.hour + INTERVAL '1 hour'
WHERE r.bucket >= $3 AND r.bucket < $4

-- name: rolled_5m
{rolled tier=rollup_5m}

-- name: rolled_1h
{rolled tier=rollup_1h}

-- part: replace
-- A row in place of the one that is there.
INSERT INTO {tier} (bucket, tenant, place, series, total, low, high, points, unanswered_total, unanswered)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant, bucket, place) DO UPDATE
SET series = excluded.series, total = excluded.total, low = excluded.low, high = excluded.high, points = excluded.points,
    unanswered_total = excluded.unanswered_total, unanswered = excluded.unanswered

-- name: replace_5m
{replace tier=rollup_5m}

-- name: replace_1h
{replace tier=rollup_1h}

-- name: numbers
-- The first of $1 numbers that nothing has. Those of frames are positive. Nobody else takes any meanwhile.
SELECT -setval('packed_numbers', nextval('packed_numbers') + $1)

-- name: mark_objectives
-- What objectives count of the tenants $1 from $2 to $3 is out of date.
INSERT INTO objective_marks (tenant, starts, ends)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) ORDER BY 1, 2
ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1
