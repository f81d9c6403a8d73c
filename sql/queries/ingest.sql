-- name: lock_heads
-- Heads of the tenants of a batch, locked in one order so that writers cannot deadlock.
SELECT * FROM availability_heads WHERE tenant = ANY($1::bigint[]) ORDER BY tenant FOR UPDATE

-- name: lock_free_heads
-- The same, without those that a job has to itself: nobody waits for it. Looked at again when the lock is there.
SELECT tenant, first_observed_at, state, since, last_observed_at, holds, share, doubt, age, unknown, says, noted, voices,
       standing
FROM availability_heads
WHERE tenant = ANY($1::bigint[]) AND (held_until IS NULL OR held_until < clock_timestamp()) ORDER BY tenant FOR UPDATE

-- name: hold_head
UPDATE availability_heads SET held_until = clock_timestamp() + $2::interval WHERE tenant = $1

-- name: release_head
UPDATE availability_heads SET held_until = NULL WHERE tenant = $1

-- name: late_cost
-- What late evidence of the tenants $1, from $2 to $3, would cost: outages and gaps whose sums follow, and frames that are
-- read again, $4 at most. All of it lies between $5 and $6, so that no other days are planned with.
SELECT x.tenant, coalesce(l.entries_before - f.entries_before + 1, 0) AS following,
       (SELECT count(*) FROM (SELECT FROM frames r WHERE r.tenant = x.tenant AND r.ts >= x.first AND r.ts <= x.last AND r.ts >= $5 AND r.ts <= $6
                              LIMIT $4) AS read)
       + (SELECT coalesce(sum(p.instants), 0)::bigint FROM packed_hours p
          WHERE p.tenant = x.tenant AND p.hour > x.first - INTERVAL '1 hour' AND p.hour <= x.last
            AND p.hour > $5::timestamptz - INTERVAL '1 hour' AND p.hour <= $6) AS frames
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS x (tenant, first, last)
LEFT JOIN LATERAL (
  SELECT s.entries_before FROM availability_sums s WHERE s.tenant = x.tenant ORDER BY s.starts DESC LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
  SELECT s.entries_before FROM availability_sums s WHERE s.tenant = x.tenant AND s.starts >= x.first
  ORDER BY s.starts LIMIT 1
) AS f ON true

-- name: regimes
SELECT tenant, valid_from, source, holds, weights, age FROM evidence_regimes
WHERE tenant = ANY($1::bigint[]) ORDER BY tenant, valid_from

-- name: mark_rollups
INSERT INTO rollup_dirty (tenant, bucket)
SELECT * FROM unnest($1::bigint[], $2::timestamptz[])
ORDER BY 1, 2
ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1

-- name: store_steadily
-- A whole commit (`storage.steady`). Frames: microseconds after 2000, tenants, and which part of $5 and $6 is theirs; then the
-- arguments of the function, which looks at the rest when they are stored.
WITH stored AS (
  INSERT INTO frames (ts, tenant, series, samples)
  SELECT TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.ticks * INTERVAL '1 microsecond', x.tenant,
         ($5::integer[])[x.begins:x.ends], ($6::float8[])[x.begins:x.ends]
  FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::integer[]) AS x (ticks, tenant, begins, ends)
  RETURNING 1
)
SELECT go_on_steadily(count(*), $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                      $13::bigint[], $14::timestamptz[], $15::timestamptz, $16, $17) AS now
FROM stored

-- part: evidence
-- Whether availability follows from the series {of}.
{of}.metric_name IN ('up', 'error_rate', 'up_over', 'error_rate_over', 'up_silent', 'error_rate_silent') AND {of}.labels - 'service' = '{}'

-- name: raw_evidence
-- Evidence values of one tenant in [$2, $3], oldest first; of two values of one instant the later accepted wins.
SELECT f.ts, s.data_source, s.metric_name, coalesce(s.labels->>'service', '') AS component, f.value
FROM samples_of($1, $2, $3::timestamptz + INTERVAL '1 microsecond') f JOIN series s ON s.id = f.series
WHERE {evidence of=s}
ORDER BY f.ts, f.seq

-- name: live_tenants
-- And what time it is here, for the marks (`storage.marks`).
SELECT id, tenant_id, clock_timestamp() AS now FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL
ORDER BY id FOR KEY SHARE

-- name: insert_attempts
INSERT INTO pull_attempts (ts, source, tenant, outcome, duration_ms, detail)
SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::text[], $5::float8[], $6::text[])

-- name: known_series
-- Of the metrics $2; of all when that is null. Looked up by hash: one by one, 1,400 names of 14,000 take seconds.
SELECT id, tenant, data_source, metric_type, metric_name, labels FROM series
WHERE tenant = ANY($1::bigint[]) AND ($2::text[] IS NULL OR metric_name IN (SELECT unnest($2::text[])))

-- name: count_series
SELECT tenant, count(*) AS series FROM series WHERE tenant = ANY($1::bigint[]) GROUP BY tenant

-- name: intern_series
INSERT INTO series (tenant, data_source, metric_type, metric_name, labels)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::jsonb[])
ON CONFLICT DO NOTHING

-- name: nearby_spans
-- Closed spans that overlap or touch [$2, $3].
SELECT lower(period) AS start, upper(period) AS "end", state, reason, share, doubt, doubt_after, unknown FROM availability_spans
WHERE tenant = $1 AND period && tstzrange($2::timestamptz - INTERVAL '1 microsecond', $3, '[]')
ORDER BY 1

-- name: measured_before
-- The last closed span before $2 that is no gap, or one in part only.
SELECT lower(period) AS start, upper(period) AS "end", state, reason, share, doubt, doubt_after, unknown FROM availability_spans
WHERE tenant = $1 AND (state <> 'gap' OR share < 1) AND period << tstzrange($2, NULL) ORDER BY lower(period) DESC LIMIT 1

-- name: measured_after
SELECT lower(period) FROM availability_spans
WHERE tenant = $1 AND (state <> 'gap' OR share < 1) AND period && tstzrange($2, NULL) ORDER BY lower(period) LIMIT 1

-- name: delete_spans
-- $2: the starts of the spans
DELETE FROM availability_spans
WHERE tenant = $1 AND period && tstzrange($3, $4, '[]') AND lower(period) = ANY($2::timestamptz[])

-- name: insert_spans
INSERT INTO availability_spans (tenant, period, state, reason, share, doubt, doubt_after, unknown)
SELECT tenant, tstzrange(s, e), state, reason, share, doubt, after, unknown
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::float8[], $7::float8[],
            $8::float8[], $9::float8[]) AS x (tenant, s, e, state, reason, share, doubt, after, unknown)

-- name: update_heads
UPDATE availability_heads h
SET first_observed_at = least(coalesce(h.first_observed_at, x.first), x.first),
    state = x.state, since = x.since, last_observed_at = x.last, holds = x.holds, share = x.share, doubt = x.doubt,
    age = x.age, unknown = x.unknown
FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::interval[],
            $7::float8[], $8::float8[], $9::interval[], $10::float8[])
     AS x (tenant, first, state, since, last, holds, share, doubt, age, unknown)
WHERE h.tenant = x.tenant

-- name: go_on
-- The same where nothing but the last observation is new.
UPDATE availability_heads h SET last_observed_at = x.last
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, last)
WHERE h.tenant = x.tenant

-- name: awake_between
-- When our collector of a source was at work for a tenant, in [$2, $3): each attempt for all tenants or for this one
-- says that it was awake for $5 after. Merged here, because days of silence hold a hundred thousand attempts.
SELECT lower(r) AS start, upper(r) AS "end" FROM unnest((
  -- What is condensed says itself how long, and begins an hour earlier at most.
  SELECT range_agg(tstzrange(ts, ts + greatest(
    $5::interval, CASE WHEN detail = 'condensed' THEN duration_ms * INTERVAL '1 ms' END)))
  FROM pull_attempts
  WHERE source = $1 AND ts > $2::timestamptz - $5::interval - INTERVAL '1 hour' AND ts < $3
    AND (ts > $2::timestamptz - $5::interval OR detail = 'condensed')
    AND outcome <> 'collector_down' AND (tenant IS NULL OR tenant = $4)
)) AS r

-- name: last_attempt
SELECT max(ts) FROM pull_attempts WHERE source = $1 AND outcome <> 'collector_down' AND ts > $2 AND ts <= $3

-- name: newest_attempts
-- How the newest pull of each source since $1 went.
SELECT DISTINCT ON (source) source, ts, outcome, detail FROM pull_attempts
WHERE ts > $1 AND tenant IS NULL AND source <> 'push' ORDER BY source, ts DESC

-- name: watermark
SELECT collected FROM collector_watermarks WHERE source = $1

-- name: set_watermark
INSERT INTO collector_watermarks (source, collected) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET collected = greatest(collector_watermarks.collected, excluded.collected)

-- name: mark_evidence
INSERT INTO evidence_dirty (tenant, ts) SELECT * FROM unnest($1::bigint[], $2::timestamptz[])

-- name: marked
-- Tenants with marks until $1: nothing acts before its time. Not those whose turn has not come again then.
SELECT e.tenant FROM evidence_dirty e
WHERE e.ts >= '1970-01-01T00:00:00Z' AND e.ts <= $1 AND NOT EXISTS (
  SELECT FROM quarantine q WHERE q.tenant = e.tenant AND q.job = 'hand_made'
    AND q.next_at > $1 AND q.next_at <= $1::timestamptz + INTERVAL '1 hour')
GROUP BY e.tenant ORDER BY min(e.id)

-- name: marks
-- Of tenant $1 until $2, the newest first, $3 at most: people look at the last minutes.
SELECT id, ts, gone FROM evidence_dirty WHERE tenant = $1 AND ts >= '1970-01-01T00:00:00Z' AND ts <= $2
ORDER BY ts DESC LIMIT $3

-- name: unmark
DELETE FROM evidence_dirty WHERE tenant = $1 AND id = ANY($2::bigint[])

-- name: heal_hand_made
DELETE FROM quarantine q
WHERE q.job = 'hand_made' AND NOT EXISTS (SELECT FROM evidence_dirty e WHERE e.tenant = q.tenant)

-- name: evidence_at
-- Evidence values of one tenant at the instants $2; of two values of one instant the later accepted comes later.
-- These are near each other, from $3 to $4.
SELECT f.ts, s.data_source, s.metric_name, coalesce(s.labels->>'service', '') AS component, f.value
FROM samples_of($1, $3, $4::timestamptz + INTERVAL '1 microsecond') f JOIN series s ON s.id = f.series
WHERE f.ts = ANY($2::timestamptz[])
  AND {evidence of=s}
ORDER BY f.ts, f.seq

-- name: said_before
-- The last instant before $2 of which there is any evidence.
-- In a packed row each series has a sample at the first instant.
WITH evidence AS MATERIALIZED (
  SELECT array_agg(id) AS ids FROM series
  WHERE tenant = $1 AND {evidence of=series}
), newest AS MATERIALIZED (
  SELECT p.hour FROM packed_hours p
  WHERE p.tenant = $1 AND p.hour < $2 AND p.hour + p.first * INTERVAL '1 microsecond' < $2
    AND ((SELECT ids FROM evidence) && p.series OR (SELECT ids FROM evidence) && p.as_told)
  ORDER BY p.hour DESC LIMIT 1
)
SELECT max(ts) FROM (
  (SELECT f.ts FROM frames f
   WHERE f.tenant = $1 AND f.ts < $2 AND f.series && (SELECT ids FROM evidence) ORDER BY f.ts DESC LIMIT 1)
  UNION ALL
  SELECT s.ts FROM newest CROSS JOIN LATERAL (SELECT ts, series FROM packed.samples WHERE tenant = $1 AND hour = newest.hour) AS s
  WHERE s.ts < $2 AND s.series = ANY((SELECT ids FROM evidence)::integer[])
) AS said

-- name: first_observed
UPDATE availability_heads h SET first_observed_at = x.first
FROM unnest($1::bigint[], $2::timestamptz[]) AS x (tenant, first) WHERE h.tenant = x.tenant

-- name: heal_timeline
SELECT heal_timeline($1, $2)
