-- Parts of statements of several files.

-- part: mark_columns
-- At each of the instants $2 of the tenant $1, as far as $3: the head, the last row before it, the first from it on.
least(greatest(i.asked, h.first_observed_at), $3::timestamptz) AS at,
       h.state, h.since, h.last_observed_at + h.holds AS expires, h.share, h.doubt,
       coalesce(date_part('epoch', h.holds + h.age), 0) AS unseen,
       l.starts, l.ends, l.is_down, l.share, l.was, l.joins, l.outage_at, l.down_before, l.gap_before,
       l.hard_before, l.downs_before, l.outages_before, l.outage_hard, l.early_before, l.late_before,
       l.doubt, l.doubt_after,
       n.starts, n.ends, n.is_down, n.share, n.was, n.joins, n.outage_at, n.down_before, n.gap_before,
       n.hard_before, n.downs_before, n.outages_before, n.outage_hard, n.early_before, n.late_before,
       n.doubt, n.doubt_after

-- part: mark_rows
FROM unnest($2::timestamptz[]) WITH ORDINALITY AS i (asked, place)
LEFT JOIN availability_heads h ON h.tenant = $1 AND h.state IS NOT NULL
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
