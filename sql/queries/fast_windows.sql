-- name: cumulative
-- Per live tenant and instant of $1 (none of them in the future): its position in $1, and the seconds of eligible,
-- down and gap time from the first observation to there. Down and gap count from an arbitrary origin: only
-- differences mean something. A window is two look-ups in an index, whatever its length and whatever happened in it.
SELECT t.tenant_id, i.n::int AS n,
       date_part('epoch', greatest(i.at - h.first_observed_at, '0')) AS eligible,
       date_part('epoch', coalesce(s.down, '0') + CASE WHEN h.state = 'down'
         THEN greatest(least(i.at, h.last_observed_at + h.holds) - h.since, '0') ELSE '0' END) AS down,
       date_part('epoch', coalesce(s.gap, '0') + greatest(i.at - (h.last_observed_at + h.holds), '0')) AS gap
FROM availability_heads h
JOIN tenants t ON t.id = h.tenant
CROSS JOIN unnest($1::timestamptz[]) WITH ORDINALITY AS i (at, n)
LEFT JOIN LATERAL (
  (SELECT b.down_before + CASE WHEN b.is_down THEN least(b.ends, i.at) - b.starts ELSE '0' END AS down,
          b.gap_before + CASE WHEN b.is_down THEN '0' ELSE least(b.ends, i.at) - b.starts END AS gap
   FROM availability_sums b WHERE b.tenant = h.tenant AND b.starts <= i.at ORDER BY b.starts DESC LIMIT 1)
  UNION ALL
  -- Before the first row: the origin.
  (SELECT b.down_before, b.gap_before
   FROM availability_sums b WHERE b.tenant = h.tenant ORDER BY b.starts LIMIT 1)
  LIMIT 1
) AS s ON true
WHERE t.deleted_at IS NULL AND h.state IS NOT NULL
