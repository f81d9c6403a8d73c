-- name: last_number
-- Of a frame that somebody has stored, or is storing.
SELECT last_value FROM frame_seq

-- name: writing
-- The transactions that may have numbered frames and not committed them.
SELECT coalesce(array_agg(l.virtualtransaction), '{}') AS them FROM pg_locks l
WHERE l.relation = 'frames'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: tenants
SELECT id FROM tenants WHERE deleted_at IS NULL ORDER BY id

-- name: next_hours
-- Of each of the tenants $1 the first hour from its $2 on, before $3, that has frames; and whether it is due at $4: not what
-- is quarantined and has no turn yet, nor what was packed less than $5 ago.
SELECT a.tenant, h.hour,
       NOT EXISTS (SELECT FROM packed_hours p
                   WHERE p.tenant = a.tenant AND p.hour = h.hour AND p.packed_at > $4::timestamptz - $5::interval
                     AND p.packed_at <= $4)
       AND NOT EXISTS (
         SELECT FROM quarantine q
         WHERE q.tenant = a.tenant AND q.job = 'packing' AND q.next_at > $4 AND q.next_at <= $4::timestamptz + INTERVAL '1 hour'
           AND q.subject = to_char(h.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"')) AS due
FROM unnest($1::bigint[], $2::timestamptz[]) AS a (tenant, since)
CROSS JOIN LATERAL (
  SELECT date_trunc('hour', f.ts, 'UTC') AS hour FROM frames f
  WHERE f.tenant = a.tenant AND f.ts >= greatest(a.since, '1970-01-01T00:00:00Z') AND f.ts < $3 ORDER BY f.ts LIMIT 1
) AS h
ORDER BY h.hour, a.tenant

-- name: size
-- Samples of tenant $1 in [$2, $3), counted up to a little more than $4.
SELECT coalesce(sum(series), 0)::bigint FROM (
  SELECT cardinality(series) AS series FROM frames WHERE tenant = $1 AND ts >= $2 AND ts < $3 LIMIT $4 + 1
) AS counted

-- name: packings_turn
-- Nobody else packs or unpacks until this transaction ends.
SELECT pg_try_advisory_xact_lock(hashtextextended('ecpmon packing', 0))

-- name: take
-- Frames of tenant $1 in [$3, $4) numbered up to $5; instants in microseconds after $2.
SELECT seq, (extract(epoch FROM ts - $2) * 1000000)::bigint AS at, series, samples FROM take_frames($1, $3, $4, $5)

-- name: take_packed
-- The samples of the packed rows of tenant $1 and hour $2 that hold something of [$3, $4), which are taken out.
WITH gone AS (
  SELECT part FROM packed_hours p
  WHERE tenant = $1 AND hour = $2
    AND hour + first * INTERVAL '1 microsecond' < $4
    AND hour + (first + step * (instants - 1) + coalesce(jitter[instants], 0)) * INTERVAL '1 microsecond' >= $3
), held AS MATERIALIZED (
  SELECT series, array_agg((extract(epoch FROM ts - $2) * 1000000)::bigint) AS at, array_agg(value) AS values
  FROM packed.samples WHERE tenant = $1 AND hour = $2 AND part IN (SELECT part FROM gone) GROUP BY series
), taken AS (
  DELETE FROM packed_hours p USING gone WHERE p.tenant = $1 AND p.hour = $2 AND p.part = gone.part
)
SELECT series, at, values FROM held

-- name: numbers
-- The first of $3 numbers that nothing has, and the first free place of tenant $1 in hour $2. Those of frames are positive. Nobody
-- else takes any meanwhile.
SELECT -setval('packed_numbers', nextval('packed_numbers') + $3) AS number,
       (SELECT coalesce(max(part) + 1, 0) FROM packed_hours WHERE tenant = $1 AND hour = $2) AS place

-- name: heal_packing
-- Out of quarantine is what has no frames left.
DELETE FROM quarantine q WHERE q.job = 'packing' AND NOT EXISTS (
  SELECT FROM frames f WHERE f.tenant = q.tenant AND f.ts >= q.subject::timestamptz
    AND f.ts < q.subject::timestamptz + INTERVAL '1 hour')
