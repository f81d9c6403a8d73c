-- Parts of statements of several files.

-- part: heard_late
-- So many seconds after it was taken, and no more, a sample may come that ends a silence: what is pulled is asked for up to
-- an instant that lies a moment back (`SETTLING` of the collector) and then up to one step, which is past when the next
-- pull is due. As `sla.evidence.Intervals.late` says it, of the interval in which the tenant of the head {head} is pulled now.
(SELECT CASE r.source WHEN 'prometheus' THEN 2 + 2 * date_part('epoch', r.holds) / 2.5 ELSE 0 END
 FROM evidence_regimes r WHERE r.tenant = {head}.tenant ORDER BY r.valid_from DESC LIMIT 1)

-- part: behind
-- For how many seconds beyond its time the newest observation, that of the head {head}, is shown at {present}, as the next
-- may have been made and not been heard of yet. 0 when it is too late for that, and where {present} is NULL: an instant
-- of the past. Nobody is behind by more than a day. In seconds: see `fast_windows.heads`.
CASE WHEN date_part('epoch', {present}) - date_part('epoch', {head}.last_observed_at) - date_part('epoch', {head}.holds)
               BETWEEN 0 AND 86400
         THEN coalesce((SELECT late FROM (SELECT {heard_late} AS late) AS l
                        WHERE date_part('epoch', {present}) < date_part('epoch', {head}.last_observed_at)
                                                              + date_part('epoch', {head}.holds) + late), 0)
         ELSE 0 END

-- part: mark_head
-- The head `h` of the tenant $1, and until when it is shown: looked up once, not once per instant. {present}: $3 if that is
-- the present, else NULL.
WITH h AS MATERIALIZED (
  SELECT o.*, o.last_observed_at + o.holds + make_interval(secs => {behind head=o}) AS expires
  FROM availability_heads o WHERE o.tenant = $1 AND o.state IS NOT NULL
)

-- part: mark_columns
-- At each of the instants $2 of the tenant $1, as far as $3: the head, the last row before it, the first from it on.
least(greatest(i.asked, h.first_observed_at), $3::timestamptz) AS at,
       h.state, h.since, h.expires, h.share, h.doubt,
       coalesce(date_part('epoch', h.holds + h.age), 0) AS unseen, h.unknown,
       l.starts, l.ends, l.is_down, l.share, l.was, l.joins, l.outage_at, l.down_before, l.gap_before,
       l.hard_before, l.downs_before, l.outages_before, l.outage_hard, l.early_before, l.late_before,
       l.doubt, l.doubt_after, l.unknown,
       n.starts, n.ends, n.is_down, n.share, n.was, n.joins, n.outage_at, n.down_before, n.gap_before,
       n.hard_before, n.downs_before, n.outages_before, n.outage_hard, n.early_before, n.late_before,
       n.doubt, n.doubt_after, n.unknown

-- part: mark_rows
FROM unnest($2::timestamptz[]) WITH ORDINALITY AS i (asked, place)
LEFT JOIN h ON true
LEFT JOIN LATERAL (
  SELECT * FROM availability_sums s
  WHERE s.tenant = $1 AND s.starts < least(greatest(i.asked, h.first_observed_at), $3::timestamptz)
  ORDER BY s.starts DESC LIMIT 1
) AS l ON true
LEFT JOIN LATERAL (
  SELECT * FROM availability_sums s
  WHERE s.tenant = $1 AND s.starts >= least(greatest(i.asked, h.first_observed_at), $3::timestamptz)
  ORDER BY s.starts LIMIT 1
) AS n ON true

-- part: tenant_columns
-- Of `tenants`, and the versions of its contract that are in force or will be, by number.
tenants.*,
       (SELECT jsonb_agg(to_jsonb(v) - 'tenant' ORDER BY v.version) FROM contract_versions v
        WHERE v.tenant = tenants.id AND v.replaced_at IS NULL) AS versions
