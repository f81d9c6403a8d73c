-- name: figures
-- Of the tenants $1 at the present $4: what the latest observation said, since and until when it is shown (seconds); when the
-- windows $3 were evaluated last, and unless that was at $2 what was found: arrays in the order of $3. Only windows
-- evaluated together count.
SELECT a.tenant, h.state, date_part('epoch', h.since), date_part('epoch', h.last_observed_at + h.holds)
         + {behind head=h present=$4::timestamptz}, m.as_of,
       f.status, f.availability, f.coverage, f.burn_rate, f.fraction, f.low, f.high, f.remaining
FROM unnest($1::bigint[], $2::timestamptz[]) AS a (tenant, held)
LEFT JOIN availability_heads h ON h.tenant = a.tenant AND h.state IS NOT NULL
LEFT JOIN sla_current m ON m.tenant = a.tenant AND m.window_name = '30d'
LEFT JOIN LATERAL (
  SELECT array_agg(c.status ORDER BY w.place) AS status, array_agg(c.availability ORDER BY w.place) AS availability,
         array_agg(c.coverage ORDER BY w.place) AS coverage, array_agg(c.burn_rate ORDER BY w.place) AS burn_rate,
         array_agg(c.budget_remaining_fraction ORDER BY w.place) AS fraction,
         array_agg(c.low ORDER BY w.place) AS low, array_agg(c.high ORDER BY w.place) AS high,
         array_agg(c.budget_remaining_seconds ORDER BY w.place) AS remaining
  FROM unnest($3::text[]) WITH ORDINALITY AS w (name, place)
  JOIN sla_current c ON c.tenant = a.tenant AND c.window_name = w.name AND c.as_of = m.as_of
  WHERE m.as_of IS DISTINCT FROM a.held
) AS f ON true
