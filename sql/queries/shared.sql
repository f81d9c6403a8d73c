-- Parts of statements of several files.

-- part: heard_late
-- So many seconds after it was taken, and no more, a sample may come that ends a silence: what is pulled is asked for up to
-- an instant that lies a moment back (`SETTLING` of the collector) and then up to one step, which is past when the next
-- pull is due. As `sla.evidence.Intervals.late` says it, of the interval in which the tenant of the head {head} is pulled now.
(SELECT {late_of regime=r} FROM evidence_regimes r WHERE r.tenant = {head}.tenant ORDER BY r.valid_from DESC LIMIT 1)

-- part: late_of
CASE {regime}.source WHEN 'prometheus' THEN 2 + 2 * date_part('epoch', {regime}.holds) / 2.5 ELSE 0 END

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

-- part: behind_all
-- The same where all tenants are asked for: {late} is theirs of `regimes_now`, which is read once. Looked up for each head,
-- a table of a few pages is read whole for each.
CASE WHEN date_part('epoch', {present}) - date_part('epoch', {head}.last_observed_at) - date_part('epoch', {head}.holds)
               BETWEEN 0 AND 86400
          AND date_part('epoch', {present}) < date_part('epoch', {head}.last_observed_at) + date_part('epoch', {head}.holds)
                                              + {late}
         THEN {late} ELSE 0 END

-- part: regimes_now
(SELECT DISTINCT ON (r.tenant) r.tenant, {late_of regime=r} AS late FROM evidence_regimes r
 ORDER BY r.tenant, r.valid_from DESC)

-- part: mark_head
-- The head `h` of the tenant $1, and until when it is shown: looked up once, not once per instant. {present}: $3 if that is
-- the present, else NULL.
WITH h AS MATERIALIZED (
  SELECT o.*, o.last_observed_at + o.holds + make_interval(secs => {behind head=o}) AS expires,
         -- No change was in doubt for longer: its observation, and the one before it, held so long.
         (SELECT 2 * max(r.holds + r.age) FROM evidence_regimes r WHERE r.tenant = $1) AS longest
  FROM availability_heads o WHERE o.tenant = $1 AND o.state IS NOT NULL
)

-- part: mark_columns
-- At each of the instants $2 of the tenant $1, as far as $3: the head, the last row before it, the first from it on; and what
-- lies before it of the doubts about changes after the begin of that.
least(greatest(i.asked, h.first_observed_at), $3::timestamptz) AS at,
       h.state, h.since, h.expires, h.share, h.doubt,
       coalesce(date_part('epoch', h.holds + h.age), 0) AS unseen, h.unknown,
       l.starts, l.ends, l.is_down, l.share, l.was, l.joins, l.outage_at, l.down_before, l.gap_before,
       l.hard_before, l.downs_before, l.outages_before, l.outage_hard, l.early_before, l.late_before,
       l.doubt, l.doubt_after, l.unknown,
       n.starts, n.ends, n.is_down, n.share, n.was, n.joins, n.outage_at, n.down_before, n.gap_before,
       n.hard_before, n.downs_before, n.outages_before, n.outage_hard, n.early_before, n.late_before,
       n.doubt, n.doubt_after, n.unknown, coalesce(d.early, 0), coalesce(d.late, 0)

-- part: seconds_of
-- How much of the doubt {doubt} about a change at {change} lies before the instant of the mark.
greatest({doubt} - date_part('epoch', {change} - least(greatest(i.asked, h.first_observed_at), $3::timestamptz)), 0)

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
-- Several observers: changes that follow soon were in doubt already. As known at $3.
LEFT JOIN LATERAL (
  SELECT sum(change_early(c.is_down, c.share, c.unknown, c.was) * {seconds_of doubt=c.doubt change=c.starts})
           FILTER (WHERE c.starts > n.starts AND c.starts < $3) AS early,
         coalesce(sum(change_late(c.is_down, c.share, c.was) * {seconds_of doubt=c.doubt change=c.starts})
                    FILTER (WHERE c.starts > n.starts AND c.starts < $3), 0)
           -- What is down and not followed at once comes up at its end.
           + coalesce(sum(c.share * {seconds_of doubt=c.doubt_after change=c.ends})
                        FILTER (WHERE c.is_down AND c.ends < coalesce(c.following, 'infinity') AND c.ends < $3), 0) AS late
  FROM (
    SELECT s.*, lead(s.starts) OVER w AS following,
           CASE WHEN lag(s.ends) OVER w < s.starts OR lag(s.ends) OVER w IS NULL THEN 0
                WHEN lag(s.is_down) OVER w THEN lag(s.share) OVER w ELSE -lag(s.share) OVER w END AS was
    FROM (
      SELECT starts, ends, is_down, share, unknown, doubt, doubt_after FROM availability_sums
      WHERE tenant = $1 AND starts >= n.starts
        AND starts < least(greatest(i.asked, h.first_observed_at), $3::timestamptz) + h.longest
      UNION ALL
      SELECT h.since, h.expires, h.state = 'down', h.share, h.unknown, h.doubt, 0 WHERE h.state <> 'up'
      UNION ALL
      SELECT h.expires, h.expires, false, 1, 0, coalesce(date_part('epoch', h.holds + h.age), 0), 0
    ) AS s
    WHERE n.starts < least(greatest(i.asked, h.first_observed_at), $3::timestamptz) + h.longest
    WINDOW w AS (ORDER BY s.starts)
  ) AS c
) AS d ON true

-- part: tenant_columns
-- Of `tenants`, and the versions of its contract that are in force or will be, by number.
tenants.*,
       (SELECT jsonb_agg(to_jsonb(v) - 'tenant' ORDER BY v.version) FROM contract_versions v
        WHERE v.tenant = tenants.id AND v.replaced_at IS NULL) AS versions

-- part: hour_lines
h.minutes, h.total_step, h.total_off, h.bad_step, h.bad_off, h.observed_step, h.observed_off

-- part: through
-- What of the hour h was counted through its minute {minute}.
line_through({minute}, h.minutes, h.{of}_step, h.{of}_off)
