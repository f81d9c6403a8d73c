-- name: cumulative
-- Tenants $1 in groups $2, the groups' instants $3 and $4 (none in the future). Per tenant and instant, each by its
-- place in the list (timestamps are dear to decode): the seconds of
-- eligible, down and gap time from the first observation to there. Down and gap count from an arbitrary origin: only
-- differences mean something. A window is two look-ups in an index, whatever its length and whatever happened in it.
-- Heads are found once per tenant, not once per instant: hence the materialised part.
WITH heads AS MATERIALIZED (
  SELECT w.gang, w.place, h.tenant, h.first_observed_at AS first, h.last_observed_at + h.holds AS expires,
         CASE WHEN h.state = 'down' THEN h.since END AS down_since, h.share
  FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w (tenant_id, gang, place)
  JOIN tenants t ON t.tenant_id = w.tenant_id AND t.deleted_at IS NULL
  JOIN availability_heads h ON h.tenant = t.id
  WHERE h.state IS NOT NULL
)
SELECT h.place, i.place,
       date_part('epoch', greatest(i.at - h.first, '0')) AS eligible,
       date_part('epoch', coalesce(s.down, '0')
         + coalesce(greatest(least(i.at, h.expires) - h.down_since, '0') * h.share, '0')) AS down,
       date_part('epoch', coalesce(s.gap, '0') + greatest(i.at - h.expires, '0')) AS gap
FROM heads h
JOIN unnest($3::timestamptz[], $4::int[]) WITH ORDINALITY AS i (at, gang, place) USING (gang)
LEFT JOIN LATERAL (
  (SELECT b.down_before + CASE WHEN b.is_down THEN (least(b.ends, i.at) - b.starts) * b.share ELSE '0' END AS down,
          b.gap_before + CASE WHEN b.is_down THEN '0' ELSE least(b.ends, i.at) - b.starts END AS gap
   FROM availability_sums b WHERE b.tenant = h.tenant AND b.starts <= i.at ORDER BY b.starts DESC LIMIT 1)
  UNION ALL
  -- Before the first row: the origin.
  (SELECT b.down_before, b.gap_before
   FROM availability_sums b WHERE b.tenant = h.tenant ORDER BY b.starts LIMIT 1)
  LIMIT 1
) AS s ON true

-- name: states
-- What tenants $1 are at $2, as far as the latest observation still tells.
SELECT t.tenant_id, CASE WHEN h.last_observed_at + h.holds > $2 THEN h.state ELSE 'gap' END AS state
FROM tenants t JOIN availability_heads h ON h.tenant = t.id
WHERE t.tenant_id = ANY($1::text[]) AND t.deleted_at IS NULL AND h.state IS NOT NULL
