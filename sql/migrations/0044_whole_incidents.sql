-- Mean recovery is of whole incidents, and of their down time: each row of the running sums knows how much down time there
-- was before its outage began, wherever a window cuts it. How long outages last from begin to end nobody asks any more.
ALTER TABLE availability_sums ADD COLUMN outage_hard interval;
UPDATE availability_sums s SET outage_hard = o.hard
FROM (
  SELECT ctid AS place,
         -- Of an outage whose begin retention has dropped, what is left.
         coalesce(max(hard_before) FILTER (WHERE joins IS NULL AND is_down) OVER w, first_value(hard_before) OVER w) AS hard
  FROM availability_sums WINDOW w AS (PARTITION BY tenant ORDER BY starts)
) AS o
WHERE s.ctid = o.place AND s.is_down;
ALTER TABLE availability_sums DROP COLUMN lasting_before;

-- Makes the rows from `since[i]` on continue the row before it (or the tenant's first row, which keeps its own).
CREATE OR REPLACE FUNCTION availability_sums_follow(changed bigint[], since timestamptz[]) RETURNS void AS $$
BEGIN
  UPDATE availability_sums s
  SET was = n.was, joins = n.joins, outage_at = n.outage_at, down_before = n.down_before, gap_before = n.gap_before,
      hard_before = n.hard_before, outage_hard = n.outage_hard, entries_before = n.entries_before,
      downs_before = n.downs_before, outages_before = n.outages_before, early_before = n.early_before, late_before = n.late_before
  FROM unnest(changed, since) AS c (tenant, first)
  CROSS JOIN LATERAL (
    SELECT b.* FROM availability_sums b
    WHERE b.tenant = c.tenant AND b.starts >= coalesce(
      (SELECT max(p.starts) FROM availability_sums p WHERE p.tenant = c.tenant AND p.starts < c.first), c.first)
    ORDER BY b.starts LIMIT 1
  ) AS base
  CROSS JOIN LATERAL (
   SELECT m.*, CASE WHEN m.is_down
                 -- That of the outage's first row: `hard_before` never falls.
                 THEN coalesce(max(m.hard_before) FILTER (WHERE m.opens) OVER (ORDER BY m.starts), base.outage_hard) END AS outage_hard
   FROM (
    SELECT j.place, j.starts, j.is_down, j.opens, j.was, j.joins,
           CASE WHEN j.is_down THEN coalesce(max(j.starts) FILTER (WHERE j.opens) OVER through, base.outage_at) END
             AS outage_at,
           base.down_before + sum(CASE WHEN j.is_down THEN j.length * j.share ELSE '0' END) OVER earlier AS down_before,
           base.gap_before + sum(CASE WHEN j.is_down THEN '0' ELSE j.length END) OVER earlier AS gap_before,
           base.hard_before + sum(CASE WHEN j.is_down THEN j.length ELSE '0' END) OVER earlier AS hard_before,
           base.entries_before + count(*) OVER earlier AS entries_before,
           base.downs_before + count(*) FILTER (WHERE j.is_down) OVER earlier AS downs_before,
           base.outages_before + count(*) FILTER (WHERE j.opens) OVER earlier AS outages_before,
           base.early_before + sum(change_early(j.is_down, j.share, j.was) * j.doubt) OVER earlier AS early_before,
           -- What is down and not followed at once comes up at its end.
           base.late_before + sum(change_late(j.is_down, j.share, j.was) * j.doubt
                                  + CASE WHEN j.comes_up THEN j.share * j.doubt_after ELSE 0 END) OVER earlier AS late_before
    FROM (
      SELECT k.*, k.is_down AND k.joins IS NULL AS opens FROM (
        SELECT r.ctid AS place, r.starts, r.is_down, r.share, r.doubt, r.doubt_after, r.ends - r.starts AS length,
               CASE WHEN r.starts = base.starts THEN r.was WHEN lag(r.ends) OVER w < r.starts THEN 0
                    WHEN lag(r.is_down) OVER w THEN lag(r.share) OVER w ELSE -1 END AS was,
               CASE WHEN r.starts = base.starts THEN r.joins
                    WHEN r.is_down AND lag(r.is_down) OVER w AND r.starts - lag(r.ends) OVER w < INTERVAL '60 s'
                    THEN r.starts - lag(r.ends) OVER w END AS joins,
               r.is_down AND lead(r.starts) OVER w > r.ends AS comes_up
        FROM availability_sums r WHERE r.tenant = c.tenant AND r.starts >= base.starts
        WINDOW w AS (ORDER BY r.starts)
      ) AS k
    ) AS j
    WINDOW earlier AS (ORDER BY j.starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
           through AS (ORDER BY j.starts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
   ) AS m
  ) AS n
  -- By its place, so that no plan can search for it; the first row's own sums are NULL here. The caller has locked
  -- the tenants' heads, nobody moves the rows meanwhile.
  WHERE s.ctid = n.place AND n.down_before IS NOT NULL
    AND (s.was, s.joins, s.outage_at, s.down_before, s.gap_before, s.hard_before, s.outage_hard, s.entries_before,
         s.downs_before, s.outages_before, s.early_before, s.late_before)
      IS DISTINCT FROM
        (n.was, n.joins, n.outage_at, n.down_before, n.gap_before, n.hard_before, n.outage_hard, n.entries_before,
         n.downs_before, n.outages_before, n.early_before, n.late_before);
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

CREATE OR REPLACE FUNCTION availability_sums_removed() RETURNS trigger AS $$
DECLARE
  changed bigint[];
  since timestamptz[];
BEGIN
  SELECT array_agg(c.tenant), array_agg(c.first) INTO changed, since
  FROM (SELECT tenant, min(lower(period)) AS first FROM gone WHERE state <> 'up' GROUP BY 1 ORDER BY 1) AS c;
  IF changed IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM availability_heads WHERE tenant = ANY(changed) ORDER BY tenant FOR UPDATE;
  DELETE FROM availability_sums s USING gone g
  WHERE g.state <> 'up' AND s.tenant = g.tenant AND s.starts = lower(g.period);
  -- Without an earlier row there is nothing to continue, but what went on with the rows that are gone does so no more.
  -- Only retention leaves that as it is (it says so): nobody asks about what it has dropped, and a million rows may follow.
  SELECT array_agg(c.tenant), array_agg(c.first) INTO changed, since
  FROM unnest(changed, since) AS c (tenant, first)
  WHERE EXISTS (SELECT FROM availability_sums s WHERE s.tenant = c.tenant AND s.starts < c.first)
     OR (current_setting('ecpmon.dropping', true) IS DISTINCT FROM 'on'
         AND EXISTS (SELECT FROM (SELECT s.was, s.joins FROM availability_sums s
                                  WHERE s.tenant = c.tenant AND s.starts >= c.first ORDER BY s.starts LIMIT 1) AS f
                     WHERE f.was <> 0 OR f.joins IS NOT NULL));
  IF changed IS NOT NULL THEN
    UPDATE availability_sums s SET was = 0, joins = NULL, outage_at = CASE WHEN s.is_down THEN s.starts END,
                                     outage_hard = CASE WHEN s.is_down THEN s.hard_before END
    FROM unnest(changed) AS c (tenant)
    WHERE s.tenant = c.tenant AND (s.was <> 0 OR s.joins IS NOT NULL)
      AND s.starts = (SELECT min(f.starts) FROM availability_sums f WHERE f.tenant = c.tenant);
    PERFORM availability_sums_follow(changed, since);
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

CREATE OR REPLACE FUNCTION availability_sums_added() RETURNS trigger AS $$
DECLARE
  changed bigint[];
  since timestamptz[];
BEGIN
  SELECT array_agg(c.tenant), array_agg(c.first) INTO changed, since
  FROM (SELECT tenant, min(lower(period)) AS first FROM fresh WHERE state <> 'up' GROUP BY 1 ORDER BY 1) AS c;
  IF changed IS NULL THEN
    RETURN NULL;
  END IF;
  PERFORM FROM availability_heads WHERE tenant = ANY(changed) ORDER BY tenant FOR UPDATE;
  INSERT INTO availability_sums (tenant, starts, ends, is_down, share, outage_at, outage_hard, down_before, gap_before, doubt, doubt_after)
  SELECT tenant, lower(period), upper(period), state = 'down', share, CASE WHEN state = 'down' THEN lower(period) END,
         CASE WHEN state = 'down' THEN INTERVAL '0' END, '0', '0', doubt, doubt_after
  FROM fresh WHERE state <> 'up';
  PERFORM availability_sums_follow(changed, since);
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
