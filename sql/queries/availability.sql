-- name: spans
-- Those that touch [$2, $3), packed as `sla.packed` reads it.
SELECT coalesce(string_agg(timestamptz_send(lower(period)) || timestamptz_send(upper(period)) || float8send(share)
                           || float8send(doubt) || float8send(doubt_after) || float8send(unknown)
                           || charsend(state::"char") || charsend(coalesce(reason, ' ')::"char"),
                           ''::bytea ORDER BY lower(period)), '') AS spans
FROM availability_spans WHERE tenant = $1 AND period && tstzrange($2, $3)

-- name: troubles
-- The newest $4 spans that are not up and touch [$2, $3), packed like `spans`; from the sums, which hold no others.
SELECT coalesce(string_agg(timestamptz_send(starts) || timestamptz_send(ends) || float8send(share)
                           || float8send(doubt) || float8send(doubt_after) || float8send(unknown)
                           || charsend(CASE WHEN is_down THEN 'd' ELSE 'g' END::"char") || charsend(' '::"char"),
                           ''::bytea ORDER BY starts), '') AS spans
FROM (
  SELECT starts, least(ends, $3::timestamptz) AS ends, is_down, share, doubt, doubt_after, unknown
  FROM availability_sums
  WHERE tenant = $1 AND starts < $3 AND starts >= coalesce(
    (SELECT max(starts) FROM availability_sums WHERE tenant = $1 AND starts <= $2), $2)
  ORDER BY starts DESC LIMIT $4
) AS newest

-- name: reach
-- Between which instants, $4 at the latest, the outages of tenant $1 lie that go on across $2 and across $3; these themselves
-- where none does. What goes on after them is read as far as what comes next, an outage or a gap: then it is known to be over.
SELECT least($2::timestamptz, b.outage_at, CASE WHEN h.since < $2 THEN h.since END) AS since,
       CASE WHEN a.outage_at IS NULL AND (h.since IS NULL OR h.since >= $3) THEN $3::timestamptz
         ELSE least($4::timestamptz, (SELECT ends FROM availability_sums
                                      WHERE tenant = $1 AND starts >= $3 AND joins IS NULL ORDER BY starts LIMIT 1)) END AS until
FROM (SELECT) AS one
-- The open end, if it is down.
LEFT JOIN (SELECT since FROM availability_heads WHERE tenant = $1 AND state = 'down') AS h ON true
LEFT JOIN LATERAL (
  SELECT * FROM (SELECT outage_at, ends FROM availability_sums WHERE tenant = $1 AND starts < $2 ORDER BY starts DESC LIMIT 1) AS l
  WHERE l.ends > least($2, h.since) - INTERVAL '60 s'
) AS b ON true
LEFT JOIN LATERAL (
  SELECT * FROM (SELECT outage_at, ends FROM availability_sums WHERE tenant = $1 AND starts < $3 ORDER BY starts DESC LIMIT 1) AS l
  WHERE l.ends > $3 - INTERVAL '60 s'
) AS a ON true

-- name: head
-- `behind`: for how many seconds more it is shown at the present $2; NULL for an instant of the past.
SELECT h.*, {behind head=h present=$2::timestamptz} AS behind FROM availability_heads h WHERE h.tenant = $1

-- name: regimes
SELECT valid_from, source, holds, weights, age FROM evidence_regimes WHERE tenant = $1 ORDER BY valid_from

-- name: statuses
SELECT window_name, status FROM sla_current WHERE tenant = $1

-- name: statuses_of
SELECT tenant, window_name, status FROM sla_current WHERE tenant = ANY($1::bigint[])

-- name: remembered
-- Those on which the next status depends: none of the others makes a difference (`sla.windows.status`).
SELECT tenant, window_name, status FROM sla_current
WHERE tenant = ANY($1::bigint[]) AND status IN ('at_risk', 'violated')

-- name: store_current
INSERT INTO sla_current AS c (tenant, window_name, as_of, status, availability, coverage, burn_rate,
                              budget_remaining_seconds, budget_remaining_fraction, low, high)
SELECT t.id, x.window_name, $2, x.status, x.availability, x.coverage, x.burn, x.remaining, x.fraction, x.low, x.high
FROM unnest($1::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::float8[], $8::float8[], $9::float8[],
            $10::float8[], $11::float8[])
     AS x (tenant_id, window_name, status, availability, coverage, burn, remaining, fraction, low, high)
JOIN tenants t ON t.tenant_id = x.tenant_id AND t.deleted_at IS NULL
ORDER BY 1, 2
ON CONFLICT (tenant, window_name) DO UPDATE
SET as_of = excluded.as_of, status = excluded.status, availability = excluded.availability,
    coverage = excluded.coverage, burn_rate = excluded.burn_rate,
    budget_remaining_seconds = excluded.budget_remaining_seconds,
    budget_remaining_fraction = excluded.budget_remaining_fraction, low = excluded.low, high = excluded.high
-- A clock that was ahead for a moment does not keep its word for ever.
WHERE c.as_of <= excluded.as_of OR c.as_of > excluded.as_of + INTERVAL '10 minutes'

-- name: current_30d
-- Of the tenants $1, with what each is at $2.
SELECT c.tenant, c.availability, c.coverage, c.low, c.high, c.status, c.as_of,
       CASE WHEN h.last_observed_at + h.holds + make_interval(secs => {behind head=h present=$2::timestamptz}) > $2
            THEN h.state WHEN h.state IS NOT NULL THEN 'gap' END AS state
FROM sla_current c LEFT JOIN availability_heads h ON h.tenant = c.tenant
WHERE c.tenant = ANY($1::bigint[]) AND c.window_name = '30d'
