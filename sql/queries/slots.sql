-- name: marks_to_work_off
-- Oldest first; they go when they are counted. Not what is quarantined and has no turn yet at $2. Nor buckets that are not over,
-- or that a transaction may touch without a mark that began before they were (`storage.marks`).
WITH writing AS (
  SELECT min(coalesce(a.xact_start, '-infinity')) AS since
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
  WHERE l.relation = 'frames'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT m.tenant, m.starts, m.ends, m.generation FROM objective_marks m
-- What lies beyond is no time at all, and taken away by the retention of samples.
WHERE m.starts >= '1970-01-01T00:00:00Z' AND m.ends < '2200-01-01T00:00:00Z'
  AND (m.ends - m.starts > INTERVAL '5 minutes'
       OR m.ends <= least($2::timestamptz, coalesce((SELECT since FROM writing), 'infinity')))
  AND NOT EXISTS (
    SELECT FROM quarantine q
    WHERE q.tenant = m.tenant AND q.job = 'objectives' AND q.next_at > $2 AND q.next_at <= $2::timestamptz + INTERVAL '1 hour'
      AND q.subject = to_char(m.starts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') || '/'
                      || to_char(m.ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
ORDER BY m.starts, m.tenant LIMIT $1

-- name: open_marks
-- Buckets that are not over at $2, after ($3, $4): their marks stay, and they are counted again with every turn.
SELECT m.tenant, m.starts, m.ends, m.generation FROM objective_marks m
WHERE m.ends - m.starts <= INTERVAL '5 minutes' AND m.ends > $2 AND m.ends < '2200-01-01T00:00:00Z'
  AND (m.starts, m.tenant) > ($3, $4)
  AND NOT EXISTS (
    SELECT FROM quarantine q
    WHERE q.tenant = m.tenant AND q.job = 'objectives' AND q.next_at > $2 AND q.next_at <= $2::timestamptz + INTERVAL '1 hour'
      AND q.subject = to_char(m.starts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') || '/'
                      || to_char(m.ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))
ORDER BY m.starts, m.tenant LIMIT $1

-- name: unmark
-- Marks that nobody has raised since they were read. Waits for nobody: who holds one raises it.
WITH done AS (
  SELECT m.tenant, m.starts, m.ends
  FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) AS x (tenant, starts, ends, generation)
  JOIN objective_marks m USING (tenant, starts, ends, generation)
  FOR UPDATE OF m SKIP LOCKED
)
DELETE FROM objective_marks m USING done
WHERE m.tenant = done.tenant AND m.starts = done.starts AND m.ends = done.ends

-- name: heal_marks
-- Out of quarantine is what is counted, or has nothing left to count; "" is another matter of the same job.
DELETE FROM quarantine q WHERE q.job = 'objectives' AND q.subject <> '' AND NOT EXISTS (
  SELECT FROM objective_marks m
  WHERE m.tenant = q.tenant AND q.subject = to_char(m.starts AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') || '/'
                                            || to_char(m.ends AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))

-- name: put_marks
INSERT INTO objective_marks (tenant, starts, ends)
SELECT m.* FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS m (tenant, starts, ends)
JOIN (SELECT id FROM tenants) AS t ON t.id = m.tenant
ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1

-- name: lock_objectives
-- In one order, so that two jobs cannot deadlock.
SELECT o.id, o.tenant, o.indicator, o.first_at, o.holes_until, o.part_known, t.push_interval_seconds
FROM objectives o JOIN tenants t ON t.id = o.tenant
WHERE o.tenant = ANY($1::bigint[]) AND o.retired_at IS NULL ORDER BY o.id FOR UPDATE OF o

-- name: series_of
SELECT id, tenant, data_source, metric_name, labels FROM series
WHERE tenant = ANY($1::bigint[]) AND metric_name = ANY($2::text[])

-- name: readings
-- Values of the series $4 in the stretches [$2, $3) of tenants $1, by stretch (from 1) and series, in order; of two
-- values of one instant the one accepted last comes last.
SELECT e.n, f.series, array_agg(f.ts ORDER BY f.ts, f.seq) AS at, array_agg(f.value ORDER BY f.ts, f.seq) AS values
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS e (tenant, starts, ends, n)
CROSS JOIN LATERAL samples_within(e.tenant, e.starts, e.ends, $5, $6) AS f
WHERE f.series = ANY($4::int[])
GROUP BY e.n, f.series

-- name: before
-- The last value that is a count of each series before an instant. Frames cannot be searched by series, but the rollups know the
-- hours and in them the buckets that a series was seen in, and the marks know the buckets that are not rolled up yet. Where no frame is left of it, its
-- rollups may still say that it was there.
SELECT e.series, e.at, x.ts, x.value
FROM unnest($1::int[], $2::bigint[], $3::timestamptz[]) AS e (series, tenant, at)
LEFT JOIN LATERAL (
  SELECT f.ts, f.value
  FROM (
    SELECT bucket FROM (
      SELECT r.bucket FROM (SELECT bucket FROM rollup_1h WHERE tenant = e.tenant AND bucket < e.at AND e.series = ANY (series)
                            ORDER BY bucket DESC LIMIT 3) AS h
      JOIN rollup_5m r ON r.tenant = e.tenant AND r.bucket >= h.bucket AND r.bucket < h.bucket + INTERVAL '1 hour'
      WHERE r.bucket < e.at AND e.series = ANY (r.series) ORDER BY r.bucket DESC LIMIT 2) AS rolled
    UNION SELECT d.bucket FROM rollup_dirty d WHERE d.tenant = e.tenant AND d.bucket < e.at
  ) AS b
  CROSS JOIN LATERAL samples_of(e.tenant, b.bucket, least(b.bucket + INTERVAL '5 minutes', e.at)) AS f
  -- `counters.is_count`; NaN and infinity are greater.
  WHERE f.series = e.series AND f.value BETWEEN 0 AND 9007199254740992
  ORDER BY f.ts DESC, f.seq DESC LIMIT 1
) AS x ON true
WHERE x.ts IS NOT NULL
   OR EXISTS (SELECT FROM rollup_1h r
              WHERE r.tenant = e.tenant AND r.bucket <= e.at - INTERVAL '1 hour' AND e.series = ANY (r.series))

-- name: after
-- The instant of the next value of each series at or after an instant.
SELECT e.series, x.ts
FROM unnest($1::int[], $2::bigint[], $3::timestamptz[]) AS e (series, tenant, at)
CROSS JOIN LATERAL (
  SELECT f.ts
  FROM (
    SELECT bucket FROM (
      SELECT r.bucket FROM (SELECT bucket FROM rollup_1h
                            WHERE tenant = e.tenant AND bucket > e.at - INTERVAL '65 minutes' AND e.series = ANY (series)
                            ORDER BY bucket LIMIT 3) AS h
      JOIN rollup_5m r ON r.tenant = e.tenant AND r.bucket >= h.bucket AND r.bucket < h.bucket + INTERVAL '1 hour'
      WHERE r.bucket > e.at - INTERVAL '5 minutes' AND e.series = ANY (r.series) ORDER BY r.bucket LIMIT 2) AS rolled
    UNION SELECT d.bucket FROM rollup_dirty d WHERE d.tenant = e.tenant AND d.bucket > e.at - INTERVAL '5 minutes'
  ) AS b
  CROSS JOIN LATERAL samples_of(e.tenant, greatest(b.bucket, e.at), b.bucket + INTERVAL '5 minutes') AS f
  WHERE f.series = e.series
  ORDER BY f.ts LIMIT 1
) AS x

-- name: hours
SELECT h.objective, h.hour, {hour_lines}, h.bridged, h.resets
FROM unnest($1::bigint[], $2::timestamptz[]) AS e (objective, hour)
JOIN objective_hours h ON h.objective = e.objective AND h.hour = e.hour

-- name: put_hour
INSERT INTO objective_hours AS h (objective, hour, minutes, total_step, total_off, bad_step, bad_off, observed_step, observed_off,
                                  bridged, resets)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (objective, hour) DO UPDATE
SET minutes = excluded.minutes, total_step = excluded.total_step, total_off = excluded.total_off, bad_step = excluded.bad_step,
    bad_off = excluded.bad_off, observed_step = excluded.observed_step, observed_off = excluded.observed_off,
    bridged = excluded.bridged, resets = excluded.resets

-- name: change_hour
-- One that is there: whoever asks whether it is locks it first, and each lock is a record in the log.
UPDATE objective_hours
SET minutes = $3, total_step = $4, total_off = $5, bad_step = $6, bad_off = $7, observed_step = $8, observed_off = $9,
    bridged = $10, resets = $11
WHERE objective = $1 AND hour = $2

-- name: drop_told_holes
-- Those that end in the stretches: they are told anew.
DELETE FROM objective_holes h USING unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS x (objective, starts, ends)
WHERE h.objective = x.objective AND h.ends >= x.starts AND h.ends < x.ends

-- name: put_holes
INSERT INTO objective_holes (objective, starts, ends, good, total, bridged, told)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])

-- name: reach_holes
UPDATE objectives o SET holes_until = x.until
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (objective, until)
WHERE o.id = x.objective AND (o.holes_until IS NULL OR o.holes_until < x.until)

-- name: note_parts
UPDATE objectives o SET part_known = x.known FROM unnest($1::bigint[], $2::boolean[]) AS x (objective, known)
WHERE o.id = x.objective AND o.part_known IS DISTINCT FROM x.known

-- name: count_anew
-- Objectives that were counted in an older way than $1: everything their tenants have said.
WITH older AS (
  UPDATE objectives SET counting = $1 WHERE counting < $1 AND retired_at IS NULL RETURNING tenant
)
SELECT objective_marks_since(tenant, '-infinity') FROM (SELECT DISTINCT tenant FROM older ORDER BY tenant) AS t

-- part: whole_hour
{through minute=60 of=total} AS total, {through minute=60 of=bad} AS bad, {through minute=60 of=observed} AS observed

-- name: carry
-- Makes `*_before` of the hours from $2 on continue the hour before; what is right already is not written. Kept
-- within what two of them can be added up to: no tenant's nonsense may stop the counting of all.
WITH base AS (
  SELECT c.objective, c.first, p.good_before + (p.total - p.bad) AS good,
         p.total_before + p.total AS total, p.observed_before + p.observed AS observed,
         p.bridged_before + coalesce(p.bridged[60], 0) AS bridged,
         p.resets_before + coalesce(p.resets[60], 0) AS resets
  FROM unnest($1::bigint[], $2::timestamptz[]) AS c (objective, first)
  LEFT JOIN LATERAL (SELECT h.*, {whole_hour} FROM objective_hours h WHERE h.objective = c.objective AND h.hour < c.first
                     ORDER BY h.hour DESC LIMIT 1) AS p ON true
), should AS (
  SELECT h.objective, h.hour,
         greatest(least(coalesce(b.good, 0) + coalesce(sum(h.total - h.bad) OVER earlier, 0), 4e18), -4e18)::bigint AS good,
         greatest(least(coalesce(b.total, 0) + coalesce(sum(h.total) OVER earlier, 0), 4e18), -4e18)::bigint AS total,
         coalesce(b.observed, 0) + coalesce(sum(h.observed) OVER earlier, 0)::bigint AS observed,
         coalesce(b.bridged, 0) + coalesce(sum(h.bridged[60]) OVER earlier, 0)::bigint AS bridged,
         coalesce(b.resets, 0) + coalesce(sum(h.resets[60]) OVER earlier, 0)::bigint AS resets
  FROM base b CROSS JOIN LATERAL (
    SELECT h.*, {whole_hour} FROM objective_hours h WHERE h.objective = b.objective AND h.hour >= b.first) AS h
  WINDOW earlier AS (PARTITION BY h.objective ORDER BY h.hour ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
UPDATE objective_hours h
SET good_before = s.good, total_before = s.total, observed_before = s.observed, bridged_before = s.bridged, resets_before = s.resets
FROM should s WHERE h.objective = s.objective AND h.hour = s.hour
  AND (h.good_before, h.total_before, h.observed_before, h.bridged_before, h.resets_before)
      IS DISTINCT FROM (s.good, s.total, s.observed, s.bridged, s.resets)

-- name: first_seen
UPDATE objectives o SET first_at = least(coalesce(o.first_at, x.at), x.at)
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (objective, at)
WHERE o.id = x.objective AND (o.first_at IS NULL OR o.first_at > x.at)
RETURNING o.id

-- name: backlog
-- Buckets that are not over keep their marks.
SELECT count(*) FROM objective_marks WHERE ends - starts > INTERVAL '5 minutes' OR ends <= now()
