-- Component policies: a tenant may be down in part. `share` is how much of it is down, by its components' weights.

-- NULL: any component that is down makes the tenant down.
CREATE FUNCTION are_weights(weights jsonb) RETURNS boolean AS $$
  SELECT weights IS NULL OR (
    jsonb_typeof(weights) = 'object' AND weights <> '{}'
    AND NOT EXISTS (SELECT FROM jsonb_each(weights) AS w
                    WHERE jsonb_typeof(w.value) <> 'number' OR (w.value)::text::numeric <= 0))
$$ LANGUAGE sql IMMUTABLE;

ALTER TABLE tenants ADD COLUMN component_weights jsonb CHECK (are_weights(component_weights));
ALTER TABLE evidence_regimes ADD COLUMN weights jsonb CHECK (are_weights(weights));

ALTER TABLE availability_spans
  ADD COLUMN share double precision NOT NULL DEFAULT 1 CHECK (share > 0 AND share <= 1),
  ADD CHECK (state = 'down' OR share = 1);
ALTER TABLE availability_heads
  ADD COLUMN share double precision NOT NULL DEFAULT 1 CHECK (share > 0 AND share <= 1),
  ADD CHECK (state = 'down' OR share = 1);
ALTER TABLE availability_sums
  ADD COLUMN share double precision NOT NULL DEFAULT 1 CHECK (share > 0 AND share <= 1);

CREATE OR REPLACE FUNCTION tenant_starts() RETURNS trigger AS $$
BEGIN
  INSERT INTO availability_heads (tenant) VALUES (NEW.id);
  INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights)
  VALUES (NEW.id, '1970-01-01T00:00:00Z', CASE WHEN NEW.sli_source = 'auto' THEN 'push' ELSE NEW.sli_source END,
          CASE NEW.sli_source WHEN 'simulator' THEN INTERVAL '12.5 s' WHEN 'prometheus' THEN INTERVAL '37.5 s'
               ELSE make_interval(secs => 2.5 * NEW.push_interval_seconds) END, NEW.component_weights);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;

-- The running sums count down time by its share.

-- Makes the sums from `since[i]` on continue the row before it (or the tenant's first row, which keeps its own).
CREATE OR REPLACE FUNCTION availability_sums_follow(changed bigint[], since timestamptz[]) RETURNS void AS $$
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
           base.down_before + sum(CASE WHEN r.is_down THEN (r.ends - r.starts) * r.share ELSE '0' END) OVER earlier AS down_before,
           base.gap_before + sum(CASE WHEN r.is_down THEN '0' ELSE r.ends - r.starts END) OVER earlier AS gap_before
    FROM availability_sums r WHERE r.tenant = c.tenant AND r.starts >= base.starts
    WINDOW earlier AS (ORDER BY r.starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
  ) AS n
  -- By its place, so that no plan can search for it; the first row's own sums are NULL here. The caller has locked
  -- the tenants' heads, nobody moves the rows meanwhile.
  WHERE s.ctid = n.place AND (s.down_before <> n.down_before OR s.gap_before <> n.gap_before);
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
  INSERT INTO availability_sums (tenant, starts, ends, is_down, share, down_before, gap_before)
  SELECT f.tenant, f.starts, f.ends, f.is_down, f.share,
         coalesce(p.down, '0') + coalesce(sum((f.ends - f.starts) * f.share) FILTER (WHERE f.is_down) OVER earlier, '0'),
         coalesce(p.gap, '0') + coalesce(sum(f.ends - f.starts) FILTER (WHERE NOT f.is_down) OVER earlier, '0')
  FROM (SELECT tenant, lower(period) AS starts, upper(period) AS ends, state = 'down' AS is_down, share
        FROM fresh WHERE state <> 'up') AS f
  LEFT JOIN LATERAL (
    SELECT down_before + CASE WHEN s.is_down THEN (s.ends - s.starts) * s.share ELSE '0' END AS down,
           gap_before + CASE WHEN s.is_down THEN '0' ELSE s.ends - s.starts END AS gap
    FROM availability_sums s WHERE s.tenant = f.tenant AND s.starts < f.starts ORDER BY s.starts DESC LIMIT 1
  ) AS p ON true
  WINDOW earlier AS (PARTITION BY f.tenant ORDER BY f.starts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING);
  PERFORM availability_sums_follow(changed, since);
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
