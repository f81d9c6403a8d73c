-- A rollup is a row per tenant and bucket, as a frame is: what its series came to, 48 of them at most (`in_rows` in
-- sql/queries/monitoring.sql makes the rows), so that none is so large that it is stored elsewhere and compressed. A row per
-- series took six times the room, and as much more of the write-ahead log.
CREATE FUNCTION are_ascending(numbers integer[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(bool_and(a < b), true) AND array_position(numbers, NULL) IS NULL
  FROM unnest(numbers[:cardinality(numbers) - 1], numbers[2:]) AS x (a, b)
$$;

CREATE TABLE rolled_5m (
  bucket timestamptz NOT NULL,
  tenant bigint NOT NULL,
  -- Which row of those of its bucket.
  place  smallint NOT NULL CHECK (place >= 0),
  series integer[] NOT NULL CHECK (cardinality(series) BETWEEN 1 AND 48 AND are_ascending(series)),
  -- Of each series.
  total  double precision[] NOT NULL,
  low    double precision[] NOT NULL,
  high   double precision[] NOT NULL,
  -- Of all of them one number where it is the same, as mostly.
  points integer[] NOT NULL CHECK (0 < ALL (points)),
  -- Of response times what was said at instants at which nothing was answered; NULL, as mostly: of none of them anything.
  unanswered_total double precision[],
  unanswered integer[],
  CHECK (cardinality(total) = cardinality(series) AND cardinality(low) = cardinality(series)
         AND cardinality(high) = cardinality(series) AND cardinality(points) IN (1, cardinality(series))
         AND cardinality(unanswered_total) = cardinality(series) AND cardinality(unanswered) = cardinality(series)),
  CHECK (-1e100 <= ALL (low) AND 1e100 >= ALL (high)),
  CHECK (bucket BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z')
);
CREATE TABLE rolled_1h (LIKE rolled_5m INCLUDING ALL);
SELECT create_hypertable('rolled_5m', by_range('bucket', INTERVAL '7 days'), create_default_indexes => false);
SELECT create_hypertable('rolled_1h', by_range('bucket', INTERVAL '30 days'), create_default_indexes => false);

-- Day by day, so that no sort is large.
DO $$
DECLARE
  tier text;
  day timestamptz;
BEGIN
  FOREACH tier IN ARRAY '{5m,1h}'::text[] LOOP
    FOR day IN EXECUTE format(
      'SELECT generate_series(date_trunc(''day'', min(bucket), ''UTC''), max(bucket), INTERVAL ''1 day'') FROM rollup_%s', tier)
    LOOP
      EXECUTE format(
        'INSERT INTO rolled_%1$s (bucket, tenant, place, series, total, low, high, points, unanswered_total, unanswered)
         SELECT bucket, tenant, place, array_agg(series ORDER BY series), array_agg(total ORDER BY series),
                array_agg(low ORDER BY series), array_agg(high ORDER BY series),
                CASE WHEN min(points) = max(points) THEN ARRAY[min(points)] ELSE array_agg(points ORDER BY series) END,
                CASE WHEN count(unanswered) > 0 THEN array_agg(unanswered_total ORDER BY series) END,
                CASE WHEN count(unanswered) > 0 THEN array_agg(unanswered ORDER BY series) END
         FROM (
           SELECT r.bucket, s.tenant, (row_number() OVER (PARTITION BY s.tenant, r.bucket ORDER BY r.series) - 1) / 48 AS place,
                  r.series, r.total, r.low, r.high, r.points::integer AS points, r.unanswered_total,
                  r.unanswered::integer AS unanswered
           FROM rollup_%1$s r JOIN series s ON s.id = r.series
           WHERE r.bucket >= $1 AND r.bucket < $1 + INTERVAL ''1 day''
         ) AS placed
         GROUP BY tenant, bucket, place', tier)
      USING day;
    END LOOP;
  END LOOP;
END
$$;
ALTER TABLE rollup_5m RENAME TO rollup_5m_by_series;
ALTER TABLE rollup_1h RENAME TO rollup_1h_by_series;
ALTER TABLE rolled_5m RENAME TO rollup_5m;
ALTER TABLE rolled_1h RENAME TO rollup_1h;

-- What was rolled up of a tenant from `since` to before `until`.
CREATE FUNCTION rollups_5m_of(whose bigint, since timestamptz, until timestamptz)
RETURNS TABLE (bucket timestamptz, series integer, total double precision, low double precision, high double precision,
               points bigint, unanswered_total double precision, unanswered bigint) AS $$
  SELECT r.bucket, r.series[k], r.total[k], r.low[k], r.high[k], coalesce(r.points[k], r.points[1])::bigint,
         r.unanswered_total[k], r.unanswered[k]::bigint
  FROM rollup_5m r CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
  WHERE r.tenant = whose AND r.bucket >= since AND r.bucket < until
$$ LANGUAGE sql STABLE;
CREATE FUNCTION rollups_1h_of(whose bigint, since timestamptz, until timestamptz)
RETURNS TABLE (bucket timestamptz, series integer, total double precision, low double precision, high double precision,
               points bigint, unanswered_total double precision, unanswered bigint) AS $$
  SELECT r.bucket, r.series[k], r.total[k], r.low[k], r.high[k], coalesce(r.points[k], r.points[1])::bigint,
         r.unanswered_total[k], r.unanswered[k]::bigint
  FROM rollup_1h r CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
  WHERE r.tenant = whose AND r.bucket >= since AND r.bucket < until
$$ LANGUAGE sql STABLE;

CREATE OR REPLACE VIEW metrics_5m AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total[k] / coalesce(r.points[k], r.points[1]) AS avg, r.low[k] AS min, r.high[k] AS max,
       coalesce(r.points[k], r.points[1])::bigint AS count
FROM tenants t JOIN rollup_5m r ON r.tenant = t.id CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
JOIN series s ON s.id = r.series[k]
WHERE t.deleted_at IS NULL AND NOT EXISTS (SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket = r.bucket)
UNION ALL
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, d.bucket, u.total / u.points, u.low, u.high,
       u.points
FROM tenants t JOIN rollup_dirty d ON d.tenant = t.id
CROSS JOIN LATERAL (
  SELECT m.series, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high, count(*) AS points
  FROM (
    SELECT DISTINCT ON (f.series, f.ts) f.series, f.value
    FROM (
      SELECT o.ts, o.seq, v.series, v.value
      FROM frames o CROSS JOIN LATERAL unnest(o.series, o.samples) AS v (series, value)
      WHERE o.tenant = t.id AND o.ts >= d.bucket AND o.ts < d.bucket + INTERVAL '5 minutes'
      UNION ALL
      SELECT p.ts, 0, p.series, p.value FROM packed.samples p
      WHERE p.tenant = t.id AND p.hour > d.bucket - INTERVAL '1 hour' AND p.hour <= d.bucket
        AND p.ts >= d.bucket AND p.ts < d.bucket + INTERVAL '5 minutes'
    ) AS f
    WHERE f.value BETWEEN -1e100 AND 1e100
    ORDER BY f.series, f.ts, f.seq DESC
  ) AS m GROUP BY m.series
) AS u JOIN series s ON s.id = u.series
WHERE t.deleted_at IS NULL;

CREATE OR REPLACE VIEW metrics_1h AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total[k] / coalesce(r.points[k], r.points[1]) AS avg, r.low[k] AS min, r.high[k] AS max,
       coalesce(r.points[k], r.points[1])::bigint AS count
FROM tenants t JOIN rollup_1h r ON r.tenant = t.id CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
JOIN series s ON s.id = r.series[k]
WHERE t.deleted_at IS NULL AND NOT EXISTS (
  SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket >= r.bucket AND d.bucket < r.bucket + INTERVAL '1 hour')
UNION ALL
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, h.hour, sum(u.total) / sum(u.points)::bigint,
       min(u.low), max(u.high), sum(u.points)::bigint
FROM tenants t
CROSS JOIN LATERAL (
  SELECT DISTINCT time_bucket('1 hour', d.bucket) AS hour FROM rollup_dirty d WHERE d.tenant = t.id
) AS h
CROSS JOIN LATERAL (
  SELECT r.series[k] AS series, r.total[k] AS total, r.low[k] AS low, r.high[k] AS high,
         coalesce(r.points[k], r.points[1])::bigint AS points
  FROM rollup_5m r CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
  WHERE r.tenant = t.id AND r.bucket >= h.hour AND r.bucket < h.hour + INTERVAL '1 hour'
    AND NOT EXISTS (SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket = r.bucket)
  UNION ALL
  SELECT m.series, sum(m.value), min(m.value), max(m.value), count(*)
  FROM (
    SELECT DISTINCT ON (f.series, f.ts) f.series, f.value
    FROM (
      SELECT o.ts, o.seq, v.series, v.value
      FROM rollup_dirty d
      JOIN frames o ON o.tenant = d.tenant AND o.ts >= d.bucket AND o.ts < d.bucket + INTERVAL '5 minutes'
      CROSS JOIN LATERAL unnest(o.series, o.samples) AS v (series, value)
      WHERE d.tenant = t.id AND d.bucket >= h.hour AND d.bucket < h.hour + INTERVAL '1 hour'
        AND o.ts >= h.hour AND o.ts < h.hour + INTERVAL '1 hour'
      UNION ALL
      SELECT p.ts, 0, p.series, p.value
      FROM packed.samples p JOIN rollup_dirty d ON d.tenant = p.tenant AND d.bucket = time_bucket('5 minutes', p.ts)
      WHERE p.tenant = t.id AND p.hour = h.hour AND d.tenant = t.id
        AND d.bucket >= h.hour AND d.bucket < h.hour + INTERVAL '1 hour'
    ) AS f
    WHERE f.value BETWEEN -1e100 AND 1e100
    ORDER BY f.series, f.ts, f.seq DESC
  ) AS m GROUP BY m.series
) AS u JOIN series s ON s.id = u.series
WHERE t.deleted_at IS NULL
GROUP BY 1, 2, 3, 4, 5, 6;

DROP TABLE rollup_5m_by_series;
DROP TABLE rollup_1h_by_series;
ALTER TABLE rollup_5m ADD CONSTRAINT rollup_5m_pkey PRIMARY KEY (tenant, bucket, place);
ALTER TABLE rollup_1h ADD CONSTRAINT rollup_1h_pkey PRIMARY KEY (tenant, bucket, place);
-- A row of the present hour is written every 5 minutes.
ALTER TABLE rollup_1h SET (autovacuum_vacuum_scale_factor = 0.02);

CREATE OR REPLACE FUNCTION forget_impossible(latest timestamptz) RETURNS SETOF bigint AS $$
DECLARE
  early constant timestamptz := '1970-01-01T00:00:00Z';
  sick bigint[];
  one bigint;
BEGIN
  WITH gone AS (DELETE FROM frames WHERE ts < early OR ts > latest RETURNING tenant)
  SELECT array_agg(DISTINCT tenant) INTO sick FROM (
    SELECT tenant FROM gone
    UNION SELECT tenant FROM availability_heads
          WHERE first_observed_at < early OR since < early OR last_observed_at < early OR last_observed_at > latest
    UNION SELECT tenant FROM objectives WHERE first_at < early OR first_at > latest) AS found;
  PERFORM drop_chunks('frames', newer_than => latest + INTERVAL '1 day');
  PERFORM drop_chunks(tier, newer_than => latest + INTERVAL '31 days') FROM unnest('{rollup_5m,rollup_1h}'::regclass[]) AS tier;
  -- Also of tenants that are gone.
  DELETE FROM rollup_dirty d WHERE d.bucket < early OR d.bucket > latest OR NOT EXISTS (SELECT FROM tenants WHERE id = d.tenant);
  DELETE FROM evidence_dirty WHERE ts < early OR ts > latest;
  DELETE FROM objective_marks WHERE ends < early OR starts > latest;
  UPDATE objective_marks SET starts = greatest(starts, early), ends = least(ends, latest) WHERE starts < early OR ends > latest;
  FOREACH one IN ARRAY coalesce(sick, '{}') LOOP
    -- What else is wrong with one of them must not keep the others ill.
    BEGIN
      PERFORM heal_timeline(h.tenant, latest) FROM availability_heads h WHERE h.tenant = one AND h.state IS NOT NULL;
      DELETE FROM rollup_5m WHERE tenant = one AND (bucket < early OR bucket > latest);
      DELETE FROM rollup_1h WHERE tenant = one AND (bucket < early OR bucket > latest);
      DELETE FROM objective_hours h USING objectives o
       WHERE o.tenant = one AND h.objective = o.id AND (h.hour < early OR h.hour > latest);
      UPDATE objectives o SET first_at = (SELECT min(hour) FROM objective_hours h WHERE h.objective = o.id)
       WHERE o.tenant = one AND (o.first_at < early OR o.first_at > latest);
      PERFORM objective_marks_since(one, early) FROM tenants WHERE id = one;
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'the timeline of tenant % cannot be healed: %', one, SQLERRM;
    END;
    RETURN NEXT one;
  END LOOP;
END
$$ LANGUAGE plpgsql;
