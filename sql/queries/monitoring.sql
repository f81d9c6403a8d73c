-- part: chosen
chosen AS MATERIALIZED (
  SELECT s.id FROM series s
  WHERE s.tenant = $1 AND ($5::text IS NULL OR s.metric_type = $5) AND s.data_source = $6 AND s.labels = '{}'
    AND ($7::text[] IS NULL OR s.metric_name = ANY($7))
)

-- part: named_points
SELECT s.metric_type, s.metric_name, p.bucket, p.value, p.low, p.high
FROM steps p CROSS JOIN LATERAL (SELECT metric_type, metric_name FROM series WHERE id = p.series OFFSET 0) AS s
ORDER BY 1, 2, 3

-- name: raw_points
-- In parentheses, `IN` is looked up in a hash, and each point looks for its series: whatever the planner expects, nothing
-- is made or compared once for each series.
WITH {chosen}, steps AS MATERIALIZED (
  SELECT series, time_bucket($4::interval, ts) AS bucket, avg(value) AS value, min(value) AS low, max(value) AS high
  FROM (
    SELECT DISTINCT ON (series, ts) series, ts, value FROM samples_of($1, $2, $3)
    WHERE value BETWEEN -1e100 AND 1e100 AND (series IN (SELECT id FROM chosen)) IS TRUE
    ORDER BY series, ts, seq DESC
  ) merged
  GROUP BY 1, 2
)
{named_points}

-- part: rolled_points
WITH {chosen}, steps AS MATERIALIZED (
  SELECT series, time_bucket($4::interval, bucket) AS bucket, sum(total) / sum(points) AS value, min(low) AS low,
         max(high) AS high
  FROM {rollups}($1, $2, $3) WHERE (series IN (SELECT id FROM chosen)) IS TRUE
  GROUP BY 1, 2
)
{named_points}

-- name: rollup_5m_points
{rolled_points rollups=rollups_5m_of}

-- name: rollup_1h_points
{rolled_points rollups=rollups_1h_of}

-- part: plot_columns
date_part('epoch', min(bucket))::bigint AS first, date_part('epoch', max(bucket))::bigint AS last,
         array_send(array_agg(total / points ORDER BY bucket)) AS values,
         CASE WHEN max(bucket) - min(bucket) > (count(*) - 1) * $4::interval
              THEN (SELECT array_agg(date_part('epoch', x.at)::bigint ORDER BY x.place)
                    FROM unnest(array_agg(bucket ORDER BY bucket)) WITH ORDINALITY AS x (at, place)) END AS begins,
         max(high) AS high, sum(total) AS total, sum(points)::bigint AS points

-- part: plotted
-- A row per series, or several: what is not rolled up yet has one of its own. In no order, which would cost a sort.
s.id, s.data_source, s.metric_type, s.metric_name, p.first, p.last, p.values, p.begins, p.high, p.total, p.points

-- part: is_plotted
s.tenant = $1 AND ($5::text IS NULL OR s.metric_type = $5) AND s.labels = '{}'

-- part: merged_in_steps
-- Of two samples of one series and instant the one accepted last.
SELECT series, {step} AS bucket, sum(value) AS total, max(value) AS high, count(*) AS points
  FROM (
    SELECT DISTINCT ON (series, ts) series, ts, value FROM {stored} AS stored
    WHERE value BETWEEN -1e100 AND 1e100
    ORDER BY series, ts, seq DESC
  ) AS merged
  GROUP BY 1, 2

-- part: step
time_bucket($4::interval, ts)

-- part: five_minutes
time_bucket('5 minutes', ts)

-- part: in_window
samples_of($1, $2, $3)

-- part: in_open_buckets
(
      SELECT r.ts, r.seq, r.series, r.value FROM open AS o CROSS JOIN LATERAL (
        SELECT ts, seq, series, value FROM samples_within($1, o.bucket, o.bucket + INTERVAL '5 minutes', $2, $3) OFFSET 0
      ) AS r
    )

-- part: open_buckets
-- The newest 300 buckets whose rollups lack something, mostly one: the present one. Their samples are read instead.
open AS MATERIALIZED (
  SELECT bucket FROM rollup_dirty WHERE tenant = $1 AND bucket >= $2 AND bucket < $3 ORDER BY bucket DESC LIMIT 300
), fresh AS MATERIALIZED (
  {merged_in_steps step=five_minutes stored=in_open_buckets}
)

-- part: wanted
wanted AS MATERIALIZED (
  SELECT s.id, s.data_source, s.metric_type, s.metric_name FROM series s WHERE {is_plotted}
)

-- part: closed_buckets
-- Of the other buckets the rollups of the series that are asked for, whichever these are.
{wanted}, closed AS (
  SELECT bucket, series, total, high, points FROM rollups_5m_of($1, $2, $3)
  WHERE bucket <> ALL (ARRAY(SELECT bucket FROM open)) AND (series IN (SELECT id FROM wanted)) IS TRUE
)

-- part: of_each_series
-- Each plot looks for its series: the other way round all plots would be made for each, where few are expected.
SELECT {plotted}
FROM plots p CROSS JOIN LATERAL (SELECT * FROM series WHERE id = p.series OFFSET 0) AS s
WHERE {is_plotted}

-- name: raw_plots
-- Of tenant $1 in [$2, $3) in steps of $4, every source: an array per series, as it goes over the wire, with the steps'
-- begins where some are missing (to work them out for all would cost as much as the values), and what the samples add
-- up to. $5: a metric type or NULL.
WITH steps AS (
  {merged_in_steps step=step stored=in_window}
), plots AS MATERIALIZED (SELECT series, {plot_columns} FROM steps GROUP BY series)
{of_each_series}

-- part: cut
-- Of the rows laid upon each other what is asked for: all of {column}, or what it holds of a few series, one after the other.
CASE WHEN a.few THEN (SELECT string_agg(array_send(l.{column}[:][k:k]), '' ORDER BY k) FROM unnest(a.places) AS k)
       ELSE array_send(l.{column}) END

-- name: rollup_5m_plots
-- The same in steps of 5 minutes, from $2 on, which is one of their begins; each rollup is a step. The series that are asked
-- for, a row of each; and the rows of rollups as they are, those of a day and of the same series laid upon each other, from which
-- who asks takes each series by its place. To take them apart here costs three times as much.
WITH {open_buckets}, {wanted}, steps AS (
  SELECT bucket, series, total, high, points FROM rollup_5m
  WHERE tenant = $1 AND bucket >= $2 AND bucket < $3 AND bucket <> ALL (ARRAY(SELECT bucket FROM open))
  UNION ALL
  SELECT bucket, array_agg(series), array_agg(total), array_agg(high), array_agg(points::integer) FROM fresh GROUP BY bucket
), laid AS (
  SELECT series, cardinality(series) AS width, cardinality(points) = 1 AS alike, array_agg(bucket ORDER BY bucket) AS begins,
         array_agg(total ORDER BY bucket) AS totals, array_agg(high ORDER BY bucket) AS highs,
         array_agg(points ORDER BY bucket) AS counts
  FROM steps GROUP BY series, cardinality(points), time_bucket('1 day', bucket)
)
SELECT id, data_source, metric_type, metric_name, NULL::integer[] AS ids, NULL::integer[] AS places, NULL::integer AS width,
       NULL::bytea AS begins, NULL::bytea AS totals, NULL::bytea AS highs, NULL::bytea AS counts
FROM wanted WHERE $4::interval IS NOT NULL
UNION ALL
SELECT NULL, NULL, NULL, NULL, a.ids, CASE WHEN NOT a.few THEN a.places END, l.width, array_send(l.begins),
       {cut column=totals}, {cut column=highs}, CASE WHEN l.alike THEN array_send(l.counts) ELSE {cut column=counts} END
FROM laid AS l CROSS JOIN LATERAL (
  SELECT array_agg(l.series[k]) AS ids, array_agg(k) AS places, count(*) * 3 < l.width AS few
  FROM generate_subscripts(l.series, 1) AS k WHERE (l.series[k] IN (SELECT id FROM wanted)) IS TRUE
) AS a
WHERE a.ids IS NOT NULL

-- part: in_long_steps
steps AS (
  SELECT series, time_bucket($4::interval, bucket) AS bucket, sum(total) AS total, max(high) AS high,
         sum(points)::bigint AS points
  FROM (
    {rolled}
    UNION ALL
    SELECT bucket, series, total, high, points FROM fresh
  ) AS all_of_them
  GROUP BY 1, 2
), plots AS MATERIALIZED (SELECT series, {plot_columns} FROM steps GROUP BY series)

-- name: rollup_minutes_plots
-- The same in steps of several times 5 minutes, each put together of rollups.
WITH {open_buckets}, {closed_buckets}, {in_long_steps rolled=of_minutes}
{of_each_series}

-- part: of_minutes
SELECT bucket, series, total, high, points FROM closed

-- name: rollup_1h_plots
-- The same in steps of whole hours. The hour that $2 cuts, and those with open buckets, are put together of 5 minutes.
WITH {open_buckets}, hours AS MATERIALIZED (
  SELECT time_bucket('1 hour', bucket) AS hour FROM open
  UNION
  SELECT time_bucket('1 hour', $2::timestamptz) WHERE time_bucket('1 hour', $2::timestamptz) < $2
), {wanted}, {in_long_steps rolled=of_hours}
{of_each_series}

-- part: of_hours
SELECT bucket, series, total, high, points FROM rollups_1h_of($1, $2, $3)
    WHERE bucket <> ALL (ARRAY(SELECT hour FROM hours)) AND (series IN (SELECT id FROM wanted)) IS TRUE
    UNION ALL
    SELECT m.bucket, m.series, m.total, m.high, m.points
    FROM hours AS h CROSS JOIN LATERAL rollups_5m_of($1, greatest(h.hour, $2), least(h.hour + INTERVAL '1 hour', $3)) AS m
    WHERE m.bucket >= $2 AND m.bucket < $3 AND m.bucket <> ALL (ARRAY(SELECT bucket FROM open))
      AND (m.series IN (SELECT id FROM wanted)) IS TRUE

-- name: latest
-- Of all metrics, of each source, in the newest $4 frames.
SELECT DISTINCT ON (s.metric_name, s.data_source) s.metric_name, s.metric_type, s.data_source, f.ts, v.value
FROM newest_frames($1, $2, $3, $4) f
CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
JOIN series s ON s.id = v.series
WHERE s.labels = '{}' AND v.value BETWEEN -1e100 AND 1e100
ORDER BY s.metric_name, s.data_source, f.ts DESC, f.seq DESC

-- name: coming
-- Of all metrics, after $2 up to $3, oldest first: in $4 frames and about $5 values at most. Mostly there are none.
SELECT s.metric_name, s.metric_type, s.data_source, f.ts, v.value
FROM (
  SELECT ts, seq, series, samples, sum(cardinality(series)) OVER (ORDER BY ts, seq) - cardinality(series) AS before
  FROM (SELECT ts, seq, series, samples FROM frames
        WHERE tenant = $1 AND ts > $2 AND ts <= $3 ORDER BY ts, seq LIMIT $4) AS r
) AS f
CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
JOIN series s ON s.id = v.series
WHERE f.before < $5 AND s.labels = '{}' AND v.value BETWEEN -1e100 AND 1e100
ORDER BY f.ts, f.seq

-- name: latest_of
-- Of each of the tenants $1 since its $2 (none before $6), its evidence source $3, of the metrics $5 alone: in its newest
-- frames, $7 at most and no more than hold about $8 values, so that none costs the others much, whatever it has said.
SELECT DISTINCT ON (f.tenant, s.metric_name) f.tenant, s.metric_name, s.metric_type, s.data_source, f.ts, v.value
FROM (
  SELECT a.tenant, a.evidence, n.ts, n.seq, n.series, n.samples
  FROM unnest($1::bigint[], $2::timestamptz[], $3::text[]) AS a (tenant, since, evidence)
  CROSS JOIN LATERAL (
    SELECT array_agg(w.id) AS wanted FROM series w
    WHERE w.tenant = a.tenant AND w.labels = '{}' AND w.metric_name = ANY($5::text[])
  ) AS w
  CROSS JOIN LATERAL (
    SELECT r.ts, r.seq, r.series, r.samples,
           sum(cardinality(r.series)) OVER (ORDER BY r.ts DESC, r.seq DESC) - cardinality(r.series) AS before
    FROM newest_within(a.tenant, a.since, $4, $7, $6) AS r WHERE w.wanted IS NOT NULL
  ) AS n
  WHERE n.before < $8 AND n.series && w.wanted
) AS f
CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
JOIN series s ON s.id = v.series
WHERE s.labels = '{}' AND s.metric_name = ANY($5::text[]) AND v.value BETWEEN -1e100 AND 1e100
ORDER BY f.tenant, s.metric_name, f.ts DESC, (s.data_source = f.evidence) DESC, f.seq DESC

-- name: newest
-- Of each of the tenants $1 since its $2 (none before $5) and up to $4, of the metrics $3 what each source has said last, in
-- its newest $6 frames. Mostly the newest frame of all has it. How many sources a tenant has is bounded.
SELECT a.tenant, s.metric_name, s.data_source, n.ts, n.value
FROM unnest($1::bigint[], $2::timestamptz[]) AS a (tenant, since)
CROSS JOIN LATERAL (
  SELECT id, metric_name, data_source FROM series
  WHERE tenant = a.tenant AND metric_name = ANY($3::text[]) AND labels = '{}'
) AS s
CROSS JOIN LATERAL (
  SELECT f.ts, f.samples[array_position(f.series, s.id)] AS value
  FROM newest_within(a.tenant, a.since, $4, $6, $5) AS f
  WHERE s.id = ANY(f.series) AND f.samples[array_position(f.series, s.id)] BETWEEN -1e100 AND 1e100
  ORDER BY f.ts DESC, f.seq DESC LIMIT 1
) AS n

-- name: trailing
--- Of the series $4 of tenant $1 in [$2, $3], merged, what lies between the instants $5, which begin with $2 and are in order;
--- in the newest $6 frames. A fall is a counter's reset. A first value rises from the one before it, in whichever step.
SELECT series, step, count(*) AS count, sum(value) AS total, min(value) AS low, max(value) AS high,
       min(ts) AS first, max(ts) AS last, (array_agg(value ORDER BY ts DESC))[1] AS newest,
       sum(rise) AS rise, (array_agg(rise ORDER BY ts))[1] AS first_rise
FROM (
  SELECT series, ts, value, width_bucket(ts, $5::timestamptz[]) AS step,
         CASE WHEN value >= before THEN value - before WHEN before IS NOT NULL THEN value END AS rise
  FROM (
    SELECT series, ts, value, lag(value) OVER (PARTITION BY series ORDER BY ts) AS before FROM (
      SELECT DISTINCT ON (series, ts) series, ts, value
      FROM (
        SELECT f.ts, f.seq, v.series, v.value FROM (
          SELECT ts, seq, series, samples FROM frames
          WHERE tenant = $1 AND ts >= $2 AND ts <= $3 ORDER BY ts DESC LIMIT $6
        ) AS f CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
        UNION ALL
        SELECT ts, 0, series, value FROM packed.samples
        WHERE tenant = $1 AND hour > $2::timestamptz - INTERVAL '1 hour' AND hour <= $3 AND ts >= $2 AND ts <= $3
      ) AS said
      WHERE series = ANY($4::integer[])
      ORDER BY series, ts, seq DESC
    ) AS merged
  ) AS followed
) AS steps GROUP BY series, step

-- name: series_of_metrics
-- From every source, $4 at most, those of the evidence source $3 first.
SELECT id, metric_name, data_source = $3 AS is_evidence FROM series
WHERE tenant = $1 AND metric_name = ANY($2::text[]) AND labels = '{}'
ORDER BY (data_source = $3) DESC, id LIMIT $4

-- name: causes
-- What was wrong in the first minutes of the outages from $2 to $3 of tenant $1, by source $4: services that said 0, and
-- an error rate of at least $5 (NULL: does not count). All of them lie between $8 and $9. From raw samples where there are some ($6 on), else from rollups.
SELECT i.place, c.service, c.service IS NULL AS errors
FROM unnest($2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS i (starts, ends, place)
CROSS JOIN LATERAL (
  SELECT s.labels->>$7 AS service
  FROM samples_within($1, i.starts, least(i.ends, i.starts + INTERVAL '2 minutes'), $8, $9) f JOIN series s ON s.id = f.series
  WHERE i.starts >= $6 AND s.data_source = $4
    AND CASE WHEN s.metric_name = 'up' THEN s.labels ? $7 AND f.value = 0
             WHEN s.metric_name = 'error_rate' THEN s.labels = '{}' AND f.value >= $5 ELSE false END
  UNION
  SELECT s.labels->>$7
  FROM rollups_5m_of($1, i.starts - INTERVAL '299.999999 seconds', least(i.ends, i.starts + INTERVAL '2 minutes')) AS r
  JOIN series s ON s.id = r.series
  WHERE i.starts < $6 AND s.tenant = $1 AND s.data_source = $4
    AND CASE WHEN s.metric_name = 'up' THEN s.labels ? $7 AND r.low = 0
             WHEN s.metric_name = 'error_rate' THEN s.labels = '{}' AND r.high >= $5 ELSE false END
) AS c
ORDER BY 1, 2

-- name: metric_names
-- What conditions can name: labelled series have no single value.
SELECT DISTINCT metric_name FROM series WHERE tenant = $1 AND labels = '{}'

-- name: has_said
-- Whether tenant $1 has a series of one of the metrics $2, and whether it has any.
SELECT EXISTS (SELECT FROM series WHERE tenant = $1 AND metric_name = ANY($2::text[])) AS said_some,
       EXISTS (SELECT FROM series WHERE tenant = $1) AS said_any

-- name: sources
SELECT DISTINCT data_source FROM series WHERE tenant = $1

-- name: rollups_pending
SELECT count(*) AS marks FROM rollup_dirty

-- name: rollups_turn
-- Nobody else rolls up until this transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('ecpmon rollups', 0))

-- name: dirty
-- Not what is quarantined and has no turn yet at $3. Nor what a transaction may touch without a mark that began before the
-- bucket was over (`storage.marks`).
WITH writing AS (
  SELECT min(coalesce(a.xact_start, '-infinity')) AS since
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
  WHERE l.relation = 'frames'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT d.tenant, d.bucket, d.generation, d.shrunk FROM rollup_dirty d
WHERE d.bucket >= '1970-01-01T00:00:00Z' AND d.bucket < $1
  AND d.bucket + INTERVAL '5 minutes' <= coalesce((SELECT since FROM writing), 'infinity') AND NOT EXISTS (
    SELECT FROM quarantine q
    WHERE q.tenant = d.tenant AND q.job = 'rollups' AND q.next_at > $3 AND q.next_at <= $3::timestamptz + INTERVAL '1 hour'
      AND q.subject = to_char(d.bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
ORDER BY d.bucket, d.tenant LIMIT $2

-- name: undirty
-- Marks that nobody has raised since they were read. Waits for nobody: who holds one raises it.
WITH done AS (
  SELECT d.tenant, d.bucket
  FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) AS x (tenant, bucket, generation)
  JOIN rollup_dirty d USING (tenant, bucket, generation)
  FOR UPDATE OF d SKIP LOCKED
)
DELETE FROM rollup_dirty d USING done WHERE d.tenant = done.tenant AND d.bucket = done.bucket RETURNING d.bucket

-- name: heal_rollups
-- Out of quarantine is what is rolled up, or has nothing left to roll up.
DELETE FROM quarantine q WHERE q.job = 'rollups' AND NOT EXISTS (
  SELECT FROM rollup_dirty d
  WHERE d.tenant = q.tenant AND q.subject = to_char(d.bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))

-- part: clear
DELETE FROM {tier} r USING unnest($1::bigint[], $2::timestamptz[]) AS d (tenant, bucket)
WHERE r.tenant = d.tenant AND r.bucket = {begin}

-- part: bucket
d.bucket

-- part: hour
time_bucket('1 hour', d.bucket)

-- name: clear_5m
-- Of buckets that have lost frames: what they still hold is rolled up again.
{clear tier=rollup_5m begin=bucket}

-- name: clear_1h
{clear tier=rollup_1h begin=hour}

-- part: in_rows
-- As rows of the table {tier}: what was found, and of the same buckets what is there of series of which nothing is left to be
-- found. Series by number, 48 to a row.
kept AS (
  SELECT r.bucket, r.tenant, r.series[k] AS series, r.total[k] AS total, r.low[k] AS low, r.high[k] AS high,
         coalesce(r.points[k], r.points[1])::bigint AS points, r.unanswered_total[k] AS unanswered_total,
         r.unanswered[k]::bigint AS unanswered
  FROM (SELECT DISTINCT tenant, bucket FROM found) AS d JOIN {tier} r ON r.tenant = d.tenant AND r.bucket = d.bucket
  CROSS JOIN LATERAL generate_subscripts(r.series, 1) AS k
  WHERE r.bucket >= $3 AND r.bucket < $4
    AND NOT EXISTS (SELECT FROM found f WHERE f.tenant = r.tenant AND f.bucket = r.bucket AND f.series = r.series[k])
), placed AS (
  SELECT *, (row_number() OVER (PARTITION BY tenant, bucket ORDER BY series) - 1) / 48 AS place
  FROM (SELECT * FROM found UNION ALL SELECT * FROM kept) AS both_of_them
)
INSERT INTO {tier} AS r (bucket, tenant, place, series, total, low, high, points, unanswered_total, unanswered)
SELECT bucket, tenant, place, array_agg(series ORDER BY series), array_agg(total ORDER BY series),
       array_agg(low ORDER BY series), array_agg(high ORDER BY series),
       (CASE WHEN min(points) = max(points) THEN ARRAY[min(points)] ELSE array_agg(points ORDER BY series) END)::integer[],
       CASE WHEN count(unanswered) > 0 THEN array_agg(unanswered_total ORDER BY series) END,
       CASE WHEN count(unanswered) > 0 THEN array_agg(unanswered ORDER BY series) END::integer[]
FROM placed GROUP BY tenant, bucket, place
ON CONFLICT (tenant, bucket, place) DO UPDATE
SET series = excluded.series, total = excluded.total, low = excluded.low, high = excluded.high, points = excluded.points,
    unanswered_total = excluded.unanswered_total, unanswered = excluded.unanswered

-- name: roll_5m
WITH found AS MATERIALIZED (
  SELECT bucket, tenant, series, sum(value) AS total, min(value) AS low, max(value) AS high, count(*) AS points,
         NULL::float8 AS unanswered_total, NULL::bigint AS unanswered
  FROM (
    SELECT DISTINCT ON (d.tenant, d.bucket, f.series, f.ts) d.tenant, d.bucket, f.series, f.value
    FROM unnest($1::bigint[], $2::timestamptz[]) AS d (tenant, bucket)
    CROSS JOIN LATERAL samples_within(d.tenant, d.bucket, d.bucket + INTERVAL '5 minutes', $3, $4) AS f
    -- Older rows may hold values that no sum can hold (`model.samples.LARGEST`), and NaN where a series ended.
    WHERE f.value BETWEEN -1e100 AND 1e100
    ORDER BY d.tenant, d.bucket, f.series, f.ts, f.seq DESC
  ) merged
  GROUP BY bucket, tenant, series
), {in_rows tier=rollup_5m}

-- name: roll_unanswered
-- Of response times: what was said at an instant at which its own source said that nothing was answered (`up` 0, or all
-- requests failed). Nothing was measured then: whoever sends it puts something in its place, such as the time after which
-- a client gives up. Frames of one instant may be several.
WITH suspects AS MATERIALIZED (
  SELECT DISTINCT d.tenant, d.bucket, s.data_source
  FROM unnest($1::bigint[], $2::timestamptz[]) AS d (tenant, bucket)
  JOIN series s ON s.tenant = d.tenant AND s.metric_name IN ('up', 'error_rate') AND s.labels = '{}'
  JOIN rollup_5m r ON r.tenant = d.tenant AND r.bucket = d.bucket
  CROSS JOIN LATERAL (SELECT array_position(r.series, s.id) AS k) AS p
  WHERE r.bucket >= $3 AND r.bucket < $4 AND CASE s.metric_name WHEN 'up' THEN r.low[p.k] <= 0 ELSE r.high[p.k] >= 1 END
), said AS MATERIALIZED (
  SELECT DISTINCT ON (d.bucket, f.series, f.ts) d.tenant, d.data_source, d.bucket, f.series, s.metric_name, f.ts, f.value
  FROM suspects d CROSS JOIN LATERAL (
    SELECT ts, seq, series, value FROM samples_within(d.tenant, d.bucket, d.bucket + INTERVAL '5 minutes', $3, $4) OFFSET 0
  ) AS f JOIN series s ON s.id = f.series
  WHERE s.tenant = d.tenant AND s.data_source = d.data_source AND s.labels = '{}'
    AND s.metric_name IN ('up', 'error_rate', 'response_time') AND f.value BETWEEN -1e100 AND 1e100
  ORDER BY d.bucket, f.series, f.ts, f.seq DESC
), unanswered AS (
  SELECT tenant, data_source, ts FROM said
  WHERE CASE metric_name WHEN 'up' THEN value <= 0 WHEN 'error_rate' THEN value >= 1 ELSE false END
), found AS MATERIALIZED (
  SELECT tenant, bucket, series, sum(value) AS total, count(*)::integer AS points
  FROM said JOIN (SELECT DISTINCT * FROM unanswered) AS u USING (tenant, data_source, ts)
  WHERE metric_name = 'response_time' GROUP BY tenant, bucket, series
)
UPDATE rollup_5m r
SET (unanswered_total, unanswered) = (
  SELECT array_agg(coalesce(f.total, r.unanswered_total[k]) ORDER BY k), array_agg(coalesce(f.points, r.unanswered[k]) ORDER BY k)
  FROM generate_subscripts(r.series, 1) AS k
  LEFT JOIN found f ON f.tenant = r.tenant AND f.bucket = r.bucket AND f.series = r.series[k])
FROM (SELECT tenant, bucket, array_agg(series) AS series FROM found GROUP BY tenant, bucket) AS d
WHERE r.tenant = d.tenant AND r.bucket = d.bucket AND r.series && d.series AND r.bucket >= $3 AND r.bucket < $4

-- name: roll_1h
WITH found AS MATERIALIZED (
  SELECT d.hour AS bucket, d.tenant, r.series, sum(r.total) AS total, min(r.low) AS low, max(r.high) AS high,
         sum(r.points)::bigint AS points, sum(r.unanswered_total) AS unanswered_total, sum(r.unanswered)::bigint AS unanswered
  FROM (SELECT DISTINCT tenant, time_bucket('1 hour', bucket) AS hour
        FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, bucket)) AS d
  CROSS JOIN LATERAL rollups_5m_of(d.tenant, d.hour, d.hour + INTERVAL '1 hour') AS r
  WHERE r.bucket >= $3 AND r.bucket < $4
  GROUP BY d.hour, d.tenant, r.series
), {in_rows tier=rollup_1h}

-- name: drop_chunks
SELECT drop_chunks($1::regclass, older_than => $2::timestamptz)

-- name: give_back
SELECT give_back_frames($1)

-- name: make_ahead
SELECT make_chunks_ahead($1)

-- name: oldest_attempt
-- The first attempt before $1 of the sources $2 that is not condensed.
SELECT min(ts) FROM pull_attempts
WHERE ts < $1 AND source = ANY($2::text[]) AND outcome <> 'collector_down' AND detail IS DISTINCT FROM 'condensed'

-- name: condense_attempts
-- Attempts in [$1, $2) of the sources $3, each of which says that we were awake for $4 after, become one row per hour
-- in which we were awake all along: who was blind must be known for as long as the gap is.
WITH old AS (
  DELETE FROM pull_attempts p USING unnest($3::text[], $4::interval[]) AS h (source, holds)
  WHERE p.source = h.source AND p.ts >= $1 AND p.ts < $2 AND p.outcome <> 'collector_down'
  RETURNING p.source, p.tenant, p.outcome, p.ts,
            greatest(h.holds, CASE WHEN p.detail = 'condensed' THEN p.duration_ms * INTERVAL '1 ms' END) AS lasting
)
INSERT INTO pull_attempts (ts, source, tenant, outcome, duration_ms, detail)
SELECT lower(r), source, tenant, outcome, extract(epoch FROM upper(r) - lower(r)) * 1000, 'condensed'
FROM (SELECT source, tenant, outcome, unnest(range_agg(tstzrange(ts, ts + lasting))) AS r FROM old
      GROUP BY source, tenant, outcome, date_trunc('hour', ts, 'UTC')) AS awake

-- name: keep_bounds
-- What the trigger of `monitoring_data` takes is what the API takes.
UPDATE input_bounds SET raw_retention = $1 WHERE raw_retention <> $1

-- name: forget_impossible
-- By the clock that is ahead: what one of them has written must not be impossible for the other.
SELECT t.tenant_id FROM forget_impossible(greatest($1, CURRENT_TIMESTAMP) + INTERVAL '1 day') AS f (tenant)
LEFT JOIN tenants t ON t.id = f.tenant

-- name: drop_marks
-- Of what raw retention has ended: nothing is left that they could be made of.
WITH rollups AS (DELETE FROM rollup_dirty WHERE bucket < $1), evidence AS (DELETE FROM evidence_dirty WHERE ts < $1)
DELETE FROM objective_marks WHERE ends < $1

-- name: drop_spans
-- Tells the running sums that this is retention.
WITH told AS MATERIALIZED (SELECT set_config('ecpmon.dropping', 'on', true) AS said)
DELETE FROM availability_spans USING told WHERE upper(period) < $1 AND told.said = 'on'

-- name: mean_response_times
-- Of the tenants $1 (numbers) in [$2, $3), where something was answered: of each its evidence source's ($4), else that of
-- whoever spoke last. Series by series, so that nothing is read of tenants who were not asked about.
SELECT DISTINCT ON (a.tenant) a.tenant, r.total / r.points AS mean
FROM unnest($1::bigint[], $4::text[]) AS a (tenant, evidence)
JOIN series s ON s.tenant = a.tenant AND s.metric_name = 'response_time' AND s.labels = '{}'
CROSS JOIN LATERAL (
  SELECT sum(total[k]) - coalesce(sum(unanswered_total[k]), 0) AS total,
         sum(coalesce(points[k], points[1])) - coalesce(sum(unanswered[k]), 0) AS points, max(bucket) AS newest
  FROM (
    SELECT bucket, array_position(series, s.id) AS k, total, points, unanswered_total, unanswered FROM rollup_1h
    WHERE tenant = a.tenant AND bucket >= $2 AND bucket < $3 OFFSET 0
  ) AS hours
  WHERE k IS NOT NULL
  HAVING sum(coalesce(points[k], points[1])) > coalesce(sum(unanswered[k]), 0)
) AS r
ORDER BY a.tenant, (s.data_source = a.evidence) DESC, r.newest DESC, s.data_source

-- name: response_times_due
-- Of the tenants $1 (numbers) those whose mean is to be found anew at $2: where a 48th of all that is known of them has passed
-- since, which the mean follows from; half an hour to an hour of long records, by tenant, so that they come by turns.
SELECT a.tenant
FROM unnest($1::bigint[]) AS a (tenant)
LEFT JOIN response_times r ON r.tenant = a.tenant
LEFT JOIN availability_heads h ON h.tenant = a.tenant
WHERE (r.as_of BETWEEN $2::timestamptz - least((1 + a.tenant % 64 / 64.0) * INTERVAL '30 minutes',
                                               coalesce(($2::timestamptz - h.first_observed_at) / 48, '0')) AND $2) IS NOT TRUE

-- name: keep_response_times
-- What was found at $3: the means $2 of the tenants $1.
INSERT INTO response_times AS r (tenant, mean, as_of)
SELECT t.id, x.mean, $3 FROM unnest($1::bigint[], $2::float8[]) AS x (tenant, mean) JOIN tenants t ON t.id = x.tenant
ORDER BY t.id
ON CONFLICT (tenant) DO UPDATE SET mean = excluded.mean, as_of = excluded.as_of

-- name: kept_response_times
-- Of the tenants $1 (numbers), as far as they were found in [$2, $3].
SELECT tenant, mean FROM response_times WHERE tenant = ANY($1::bigint[]) AND as_of BETWEEN $2 AND $3

-- part: services
chosen AS (
  SELECT DISTINCT ON (labels->>'service', metric_name) id, metric_name, labels->>'service' AS service
  FROM series
  WHERE tenant = $1 AND metric_name = ANY($2::text[]) AND labels ? 'service' AND labels - 'service' = '{}'
  ORDER BY labels->>'service', metric_name, (data_source = $3) DESC, id
)

-- part: gauges
chosen AS (
  SELECT DISTINCT ON (metric_name) id, metric_name, '' AS service
  FROM series
  WHERE tenant = $1 AND metric_name = ANY($2::text[]) AND labels = '{}'
  ORDER BY metric_name, (data_source = $3) DESC, id
)

-- part: usage_5m
seen AS MATERIALIZED (
  SELECT * FROM rollups_5m_of($1, $4, $5) WHERE (series IN (SELECT id FROM chosen)) IS TRUE
)
SELECT c.service, c.metric_name, count(*) AS points, max(r.high) AS high, min(r.bucket) AS first, max(r.bucket) AS last,
       count(*) AS known,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY r.total / r.points) AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY r.total / r.points) AS p95
FROM chosen c JOIN seen r ON r.series = c.id
GROUP BY 1, 2

-- part: usage_raw
seen AS MATERIALIZED (
  SELECT DISTINCT ON (series, ts) series, ts, value FROM samples_of($1, $4, $5)
  WHERE value BETWEEN -1e100 AND 1e100 AND (series IN (SELECT id FROM chosen)) IS TRUE
  ORDER BY series, ts, seq DESC
)
SELECT c.service, c.metric_name, count(*) AS points, max(s.value) AS high, min(s.ts) AS first, max(s.ts) AS last,
       count(DISTINCT time_bucket('5 minutes', s.ts)) AS known,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY s.value) AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY s.value) AS p95
FROM chosen c JOIN seen s ON s.series = c.id
GROUP BY 1, 2

-- name: service_usage_5m
-- Per service and metric ($2), over 5-minute points: of two sources of one series the evidence source's ($3).
WITH {services}, {usage_5m}

-- name: service_usage_raw
-- The same over the samples themselves.
WITH {services}, {usage_raw}

-- name: gauge_usage_5m
-- The same of what is about the tenant as a whole.
WITH {gauges}, {usage_5m}

-- name: gauge_usage_raw
WITH {gauges}, {usage_raw}
