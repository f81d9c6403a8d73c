-- Running sums over everything that is not up, so that a window of any length is the difference of two look-ups.

-- One row per down or gap span; `down_before` and `gap_before` are the tenant's seconds up to `starts`. They count
-- from an arbitrary origin, because only differences are used: retention drops the oldest rows and touches no
-- other. Kept by triggers, so that no writer can forget them. A correction of the past moves all later rows of its
-- tenant: hence the room for heap-only updates, and no index on the sums.
CREATE TABLE availability_sums (
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  starts      timestamptz NOT NULL,
  ends        timestamptz NOT NULL CHECK (starts < ends),
  is_down     boolean NOT NULL,
  down_before interval NOT NULL,
  gap_before  interval NOT NULL,
  PRIMARY KEY (tenant, starts)
) WITH (fillfactor = 70);

-- Makes the sums from `since[i]` on continue the row before it (or the tenant's first row, which keeps its own).
CREATE FUNCTION availability_sums_follow(changed bigint[], since timestamptz[]) RETURNS void AS $$
BEGIN
  UPDATE availability_sums s SET down_before = n.down_before, gap_before = n.gap_before
  FROM unnest(changed, since) AS c (tenant, first)
  CROSS JOIN LATERAL (
    SELECT b.starts, b.down_before, b.gap_before FROM availability_sums b
    WHERE b.tenant = c.tenant AND b.starts >= coalesce(
      (SELECT max(p.starts) FROM availability_sums p WHERE p.tenant = c.tenant AND p.starts < c.first), c.first)
    ORDER BY b.starts LIMIT 1
  ) AS base
  CROSS JOIN LATERAL (
    SELECT r.ctid AS place,
           base.down_before + sum(CASE WHEN r.is_down THEN r.ends - r.starts ELSE '0' END) OVER earlier AS down_before,
           base.gap_before + sum(CASE WHEN r.is_down THEN '0' ELSE r.ends - r.starts END) OVER earlier AS gap_before
    FROM availability_sums r WHERE r.tenant = c.tenant AND r.starts >= base.starts
    WINDOW earlier AS (ORDER BY r.starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
  ) AS n
  -- By its place, so that no plan can search for it; the first row's own sums are NULL here. The caller has locked
  -- the tenants' heads, nobody moves the rows meanwhile.
  WHERE s.ctid = n.place AND (s.down_before <> n.down_before OR s.gap_before <> n.gap_before);
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

-- The plans are kept per session, and the first call may see one row or a million: always use the primary key.
CREATE FUNCTION availability_sums_removed() RETURNS trigger AS $$
DECLARE
  changed bigint[];
  since timestamptz[];
BEGIN
  -- Without an earlier row there is nothing to continue: what retention leaves behind stays as it is.
  SELECT array_agg(c.tenant), array_agg(c.first) INTO changed, since
  FROM (SELECT tenant, min(lower(period)) AS first FROM gone WHERE state <> 'up' GROUP BY 1 ORDER BY 1) AS c
  WHERE EXISTS (SELECT FROM availability_sums s WHERE s.tenant = c.tenant AND s.starts < c.first);
  PERFORM FROM availability_heads WHERE tenant = ANY(changed) ORDER BY tenant FOR UPDATE;
  DELETE FROM availability_sums s USING gone g
  WHERE g.state <> 'up' AND s.tenant = g.tenant AND s.starts = lower(g.period);
  IF changed IS NOT NULL THEN
    PERFORM availability_sums_follow(changed, since);
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

CREATE FUNCTION availability_sums_added() RETURNS trigger AS $$
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
  INSERT INTO availability_sums (tenant, starts, ends, is_down, down_before, gap_before)
  SELECT f.tenant, f.starts, f.ends, f.is_down,
         coalesce(p.down, '0') + coalesce(sum(f.ends - f.starts) FILTER (WHERE f.is_down) OVER earlier, '0'),
         coalesce(p.gap, '0') + coalesce(sum(f.ends - f.starts) FILTER (WHERE NOT f.is_down) OVER earlier, '0')
  FROM (SELECT tenant, lower(period) AS starts, upper(period) AS ends, state = 'down' AS is_down
        FROM fresh WHERE state <> 'up') AS f
  LEFT JOIN LATERAL (
    SELECT down_before + CASE WHEN s.is_down THEN s.ends - s.starts ELSE '0' END AS down,
           gap_before + CASE WHEN s.is_down THEN '0' ELSE s.ends - s.starts END AS gap
    FROM availability_sums s WHERE s.tenant = f.tenant AND s.starts < f.starts ORDER BY s.starts DESC LIMIT 1
  ) AS p ON true
  WINDOW earlier AS (PARTITION BY f.tenant ORDER BY f.starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);
  PERFORM availability_sums_follow(changed, since);
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

CREATE FUNCTION availability_sums_emptied() RETURNS trigger AS $$
BEGIN
  -- Not TRUNCATE: with CASCADE the sums may be in the same statement, and in use by it.
  DELETE FROM availability_sums;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;

-- Triggers of one event fire in the order of their names: first what is gone, then what is new.
CREATE TRIGGER sums_added AFTER INSERT ON availability_spans
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION availability_sums_added();
CREATE TRIGGER sums_removed AFTER DELETE ON availability_spans
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION availability_sums_removed();
CREATE TRIGGER sums_updated_1_removed AFTER UPDATE ON availability_spans
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION availability_sums_removed();
CREATE TRIGGER sums_updated_2_added AFTER UPDATE ON availability_spans
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION availability_sums_added();
CREATE TRIGGER sums_emptied AFTER TRUNCATE ON availability_spans
  FOR EACH STATEMENT EXECUTE FUNCTION availability_sums_emptied();

INSERT INTO availability_sums (tenant, starts, ends, is_down, down_before, gap_before)
SELECT tenant, lower(period), upper(period), state = 'down',
       coalesce(sum(upper(period) - lower(period)) FILTER (WHERE state = 'down') OVER earlier, '0'),
       coalesce(sum(upper(period) - lower(period)) FILTER (WHERE state = 'gap') OVER earlier, '0')
FROM availability_spans WHERE state <> 'up'
WINDOW earlier AS (PARTITION BY tenant ORDER BY lower(period) ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);
