-- name: coarse
SELECT day FROM coarse_days WHERE tenant = $1 AND day = ANY($2::date[])

-- name: changes
-- Of tenants $1 on the UTC days $2: whether the day is kept by the minute, and how many outages and gaps it has.
SELECT c.tenant, c.day, x.day IS NOT NULL AS coarse, coalesce(l.entries_before - f.entries_before + 1, 0) AS changes
FROM unnest($1::bigint[], $2::date[]) AS c (tenant, day)
LEFT JOIN coarse_days x ON x.tenant = c.tenant AND x.day = c.day
LEFT JOIN LATERAL (
  SELECT s.entries_before FROM availability_sums s
  WHERE s.tenant = c.tenant AND s.starts < (c.day + 1)::timestamp AT TIME ZONE 'UTC' ORDER BY s.starts DESC LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
  SELECT s.entries_before FROM availability_sums s
  WHERE s.tenant = c.tenant AND s.starts >= c.day::timestamp AT TIME ZONE 'UTC' ORDER BY s.starts LIMIT 1
) AS f ON true

-- name: crowd
INSERT INTO coarse_days (tenant, day) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: between
SELECT day FROM coarse_days WHERE tenant = $1 AND day >= $2 AND day <= $3 ORDER BY day

-- name: crowded_since
SELECT count(DISTINCT tenant) FROM coarse_days WHERE day >= $1

-- name: forget
DELETE FROM coarse_days WHERE day < $1
