-- A commit of one statement (0074_steady_heads.sql) that does not find everything as it remembers it says of whom: in the
-- detail of EC002 stand the numbers of these tenants; none: a bucket is over. The others are stored without them.
CREATE OR REPLACE FUNCTION go_on_steadily(
  stored bigint, whose bigint[], names text[], spoken bigint[], stood bigint[], firsts bigint[], lasts bigint[],
  marked bigint[], buckets timestamptz[], open_until timestamptz, origin text, body jsonb
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  culprits bigint[];
BEGIN
  SELECT array_agg(x.id) INTO culprits FROM unnest(whose, names) AS x (id, name)
  WHERE NOT EXISTS (SELECT FROM tenants t WHERE t.id = x.id AND t.tenant_id = x.name AND t.deleted_at IS NULL);
  IF culprits IS NOT NULL THEN
    RAISE EXCEPTION 'a tenant is not as remembered' USING ERRCODE = 'EC002', DETAIL = array_to_string(culprits, ' ');
  END IF;
  IF clock_timestamp() >= open_until THEN
    RAISE EXCEPTION 'a bucket is over' USING ERRCODE = 'EC002';
  END IF;
  IF cardinality(marked) > 0 THEN
    INSERT INTO rollup_dirty (tenant, bucket) SELECT * FROM unnest(marked, buckets) ORDER BY 1, 2
    ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1;
  END IF;
  IF cardinality(spoken) > 0 THEN
    WITH said AS (
      SELECT x.tenant, x.stood, TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.first * INTERVAL '1 microsecond' AS first,
             TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.last * INTERVAL '1 microsecond' AS last
      FROM unnest(spoken, stood, firsts, lasts) AS x (tenant, stood, first, last)
    ), going AS (
      SELECT h.tenant, x.last FROM said x JOIN availability_heads h ON h.tenant = x.tenant
      WHERE h.standing = x.stood AND h.since < x.first AND x.first <= h.last_observed_at + h.holds
        AND (h.noted IS NULL OR x.last < h.noted)
      ORDER BY h.tenant FOR UPDATE OF h
    ), moved AS (
      UPDATE availability_heads h SET last_observed_at = greatest(h.last_observed_at, g.last)
      FROM going g WHERE h.tenant = g.tenant RETURNING h.tenant
    )
    SELECT array_agg(s.tenant) INTO culprits FROM said s WHERE NOT EXISTS (SELECT FROM moved m WHERE m.tenant = s.tenant);
    IF culprits IS NOT NULL THEN
      RAISE EXCEPTION 'an open end is not as remembered' USING ERRCODE = 'EC002', DETAIL = array_to_string(culprits, ' ');
    END IF;
  END IF;
  PERFORM bus_tell(origin, 'samples', whose, body);
  RETURN clock_timestamp();
END
$$;
