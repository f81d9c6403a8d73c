-- part: doubts_at
b.early_before + change_early(b.is_down, b.share, b.unknown, b.was) * b.doubt AS early,
          b.late_before + change_late(b.is_down, b.share, b.was) * b.doubt
            + CASE WHEN b.is_down AND b.ends <= {at} THEN b.share * b.doubt_after ELSE 0 END AS late

-- part: head_columns
-- Of a head `o` at the present {present}: until when it is shown, since when what it says, since when it is down, or unknown
-- in part (`changed`), by how much each, for how long its gap may have gone unseen, and whether any day of its tenant is
-- kept by the minute.
o.last_observed_at + o.holds + make_interval(secs => {behind head=o}) AS expires, o.since,
       CASE WHEN o.state = 'down' THEN o.since END AS down_since, CASE WHEN o.state <> 'up' THEN o.since END AS changed,
       CASE WHEN o.state = 'down' THEN o.share ELSE 0 END AS down_share, o.share,
       CASE WHEN o.state = 'gap' THEN o.share ELSE o.unknown END AS blind, o.doubt,
       coalesce(date_part('epoch', o.holds + o.age), 0) AS unseen,
       EXISTS (SELECT FROM coarse_days d WHERE d.tenant = o.tenant) AS crowded

-- part: cut_from
-- Seconds from {starts} to the end of its minute, where that minute was kept as a whole: when what of it was is not known.
CASE WHEN h.crowded AND date_part('second', {starts}) > 0
          AND EXISTS (SELECT FROM coarse_days d WHERE d.tenant = h.tenant AND d.day = ({starts} AT TIME ZONE 'UTC')::date)
     THEN 60 - date_part('second', {starts}) ELSE 0 END

-- part: early_between
-- Seconds for which the tenant of the head `h` may have been down unseen between {starts} and {ends}, and may have been up
-- (`late_between`): no less than they are, as the doubt of a change counts whole where it lies in part.
coalesce(e.early - s.early, 0)
         + CASE WHEN h.changed > {starts} AND h.changed <= {ends} THEN least(h.down_share + h.blind, 1) * h.doubt ELSE 0 END
         + CASE WHEN h.expires > {starts} AND h.expires <= {ends} THEN (1 - h.down_share) * h.unseen ELSE 0 END
         + {cut_from}

-- part: late_between
coalesce(e.late - s.late, 0)
         + CASE WHEN h.changed > {starts} AND h.changed <= {ends} THEN (1 - h.down_share) * h.doubt ELSE 0 END
         + CASE WHEN h.expires > {starts} AND h.expires <= {ends} THEN h.down_share * h.unseen ELSE 0 END
         + {cut_from}

-- part: blind_between
-- What the head `h` says between {starts} and {ends} as far as it is unknown.
(greatest(least({ends}, h.expires) - h.since, '0') - greatest(least({starts}, h.expires) - h.since, '0')) * h.blind

-- part: sums_at
-- The sums up to the instant {at} of the tenant of the head `h`; before its first row stands their origin. Doubts are
-- counted with their changes, which they lie before.
(SELECT b.down_before + CASE WHEN b.is_down THEN (least(b.ends, {at}) - b.starts) * b.share ELSE '0' END AS down,
          b.gap_before + (least(b.ends, {at}) - b.starts) * CASE WHEN b.is_down THEN b.unknown ELSE b.share END AS gap,
          {doubts_at}
   FROM availability_sums b WHERE b.tenant = h.tenant AND b.starts <= {at} ORDER BY b.starts DESC LIMIT 1)
  UNION ALL
  (SELECT b.down_before, b.gap_before, b.early_before, b.late_before
   FROM availability_sums b WHERE b.tenant = h.tenant ORDER BY b.starts LIMIT 1)
  LIMIT 1

-- name: tallies
-- Tenants $1 in groups $2, and the groups' windows from $3 to $4, by $5 (none ends in the future). Per tenant and window,
-- each by its place in the list: the seconds of eligible, down and gap time, and of doubt, at the present $6. A window is two
-- look-ups in an index, whatever its length and whatever happened in it. Before a tenant's first row stands the origin of its sums; they are
-- arbitrary, only differences mean something. Heads are found once per tenant: hence the materialised part.
WITH heads AS MATERIALIZED (
  SELECT w.gang, w.place, o.tenant, o.first_observed_at AS first, {head_columns present=$6::timestamptz}
  FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS w (tenant_id, gang, place)
  JOIN tenants t ON t.tenant_id = w.tenant_id AND t.deleted_at IS NULL
  JOIN availability_heads o ON o.tenant = t.id
  WHERE o.state IS NOT NULL
)
SELECT h.place, v.place,
       date_part('epoch', greatest(v.ends - h.first, '0') - greatest(v.starts - h.first, '0')) AS eligible,
       date_part('epoch', coalesce(e.down - s.down, '0')
         + coalesce((greatest(least(v.ends, h.expires) - h.down_since, '0')
                     - greatest(least(v.starts, h.expires) - h.down_since, '0')) * h.share, '0')) AS down,
       date_part('epoch', coalesce(e.gap - s.gap, '0')
         + greatest(v.ends - h.expires, '0') - greatest(v.starts - h.expires, '0')
         + {blind_between starts=v.starts ends=v.ends}) AS gap,
       {early_between starts=v.starts ends=v.ends} AS early,
       {late_between starts=v.starts ends=v.ends} AS late
FROM heads h
JOIN unnest($3::timestamptz[], $4::timestamptz[], $5::int[]) WITH ORDINALITY AS v (starts, ends, gang, place) USING (gang)
LEFT JOIN LATERAL (
  {sums_at at=v.starts}
) AS s ON true
LEFT JOIN LATERAL (
  {sums_at at=v.ends}
) AS e ON true

-- name: states
-- What tenants $1 are at $2, as far as the latest observation still tells.
SELECT t.tenant_id,
       CASE WHEN h.last_observed_at + h.holds + make_interval(secs => {behind head=h present=$2::timestamptz}) > $2
         THEN h.state ELSE 'gap' END AS state
FROM tenants t JOIN availability_heads h ON h.tenant = t.id
WHERE t.tenant_id = ANY($1::text[]) AND t.deleted_at IS NULL AND h.state IS NOT NULL

-- name: marks
-- Of tenant $1 at the instants $2, in their order: the row that began last before each and the first that began then or
-- later. Nothing counts before the first observation or after $3. The head, which is no row yet, comes along; without an
-- observation there is none. $4: the present, or NULL for an instant of the past.
{mark_head present=$4::timestamptz}
SELECT {mark_columns}
{mark_rows}
ORDER BY i.place

-- name: totals
-- Of the tenants $1 (numbers) in the windows that begin at $2 and end at $3: seconds of eligible, down and gap time, and
-- of doubt, each an array in the order of $2; and until when the latest observation is shown.
SELECT h.tenant, h.state, h.first_observed_at, h.last_observed_at, h.expires, w.eligible, w.down, w.gap, w.early, w.late
FROM unnest($1::bigint[]) AS a (tenant)
CROSS JOIN LATERAL (
  SELECT o.tenant, o.state, o.first_observed_at, o.last_observed_at, o.holds,
         {head_columns present=$3::timestamptz}
  FROM availability_heads o WHERE o.tenant = a.tenant AND o.state IS NOT NULL
  OFFSET 0  -- once per tenant, not once per window and use
) AS h
LEFT JOIN LATERAL (
  SELECT b.down_before + CASE WHEN b.is_down THEN (least(b.ends, $3::timestamptz) - b.starts) * b.share ELSE '0' END AS down,
         b.gap_before + (least(b.ends, $3::timestamptz) - b.starts) * CASE WHEN b.is_down THEN b.unknown ELSE b.share END AS gap,
         {doubts_at at=$3}
  FROM availability_sums b WHERE b.tenant = h.tenant AND b.starts <= $3 ORDER BY b.starts DESC LIMIT 1
) AS e ON true
CROSS JOIN LATERAL (
  SELECT array_agg(date_part('epoch', greatest($3::timestamptz - h.first_observed_at, '0')
                                      - greatest(v.starts - h.first_observed_at, '0')) ORDER BY v.place) AS eligible,
         array_agg(date_part('epoch', coalesce(e.down - s.down, '0')
           + CASE WHEN h.state = 'down'
               THEN (greatest(least($3::timestamptz, h.expires) - h.since, '0')
                     - greatest(least(v.starts, h.expires) - h.since, '0')) * h.share ELSE '0' END)
                   ORDER BY v.place) AS down,
         array_agg(date_part('epoch', coalesce(e.gap - s.gap, '0')
           + greatest($3::timestamptz - h.expires, '0')
           - greatest(v.starts - h.expires, '0')
           + {blind_between starts=v.starts ends=$3}) ORDER BY v.place) AS gap,
         array_agg({early_between starts=v.starts ends=$3} ORDER BY v.place) AS early,
         array_agg({late_between starts=v.starts ends=$3} ORDER BY v.place) AS late
  FROM unnest($2::timestamptz[]) WITH ORDINALITY AS v (starts, place)
  LEFT JOIN LATERAL (
    {sums_at at=v.starts}
  ) AS s ON true
) AS w

-- name: heads
-- Of every tenant that was ever observed, at the present $1. Seconds: people may have put instants there that no other type
-- holds.
SELECT h.tenant, h.state, date_part('epoch', h.since), h.share,
       date_part('epoch', h.last_observed_at) + date_part('epoch', h.holds) + {behind_all head=h present=$1::timestamptz late=n.late}
FROM availability_heads h LEFT JOIN {regimes_now} AS n ON n.tenant = h.tenant WHERE h.state IS NOT NULL

-- name: outlines
-- Of every tenant that was ever observed what its totals follow from: its head and the newest of its sums, at the
-- present $1. In seconds, for the same reason.
SELECT h.tenant, CASE WHEN h.unknown > 0 THEN 'gap' ELSE h.state END, date_part('epoch', h.since), h.share,
       date_part('epoch', h.first_observed_at),
       date_part('epoch', s.starts), date_part('epoch', s.ends), date_part('epoch', s.down_before),
       date_part('epoch', s.gap_before), date_part('epoch', h.last_observed_at),
       date_part('epoch', h.last_observed_at) + date_part('epoch', h.holds) + {behind_all head=h present=$1::timestamptz late=n.late}
FROM availability_heads h LEFT JOIN LATERAL (
  SELECT * FROM availability_sums b WHERE b.tenant = h.tenant ORDER BY b.starts DESC LIMIT 1
) AS s ON true LEFT JOIN {regimes_now} AS n ON n.tenant = h.tenant
WHERE h.state IS NOT NULL
