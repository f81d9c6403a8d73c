-- A commit of one statement (0078_whose_fault.sql) moves the heads of many tenants. Locking them first, in the order in which
-- everybody does, wrote a record of 54 bytes for each into the write-ahead log beside that of the change. The UPDATE itself
-- locks in the order in which it comes to them; with nothing but loops over an index to choose from, that is the order of
-- `spoken`, by tenant.

-- A trigger before the UPDATE of a row locks it as well, whichever columns it is for. So what a process remembers of a head is
-- a number that follows from all that it must not change under it, and from how often its regimes have changed: the same
-- number, the same head.
DROP TRIGGER head_stands_anew ON availability_heads;
DROP FUNCTION head_stands_anew();
ALTER TABLE availability_heads RENAME standing TO regimes;
ALTER TABLE availability_heads ADD standing bigint NOT NULL GENERATED ALWAYS AS (
  hash_record_extended(ROW(state, since, holds, share, doubt, age, unknown, says, noted, voices, held_until, regimes), 0)) STORED;
CREATE OR REPLACE FUNCTION heads_follow_regimes() RETURNS trigger AS $$
BEGIN
  PERFORM FROM availability_heads WHERE tenant IN (SELECT tenant FROM changed) ORDER BY tenant FOR UPDATE;
  UPDATE availability_heads SET regimes = regimes + 1 WHERE tenant IN (SELECT tenant FROM changed);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION go_on_steadily(
  stored bigint, whose bigint[], names text[], spoken bigint[], stood bigint[], firsts bigint[], lasts bigint[],
  marked bigint[], buckets timestamptz[], open_until timestamptz, origin text, body jsonb
) RETURNS timestamptz LANGUAGE plpgsql
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  culprits bigint[];
  moved bigint[];
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
    WITH gone_on AS (
      UPDATE availability_heads h
      SET last_observed_at = greatest(h.last_observed_at, TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.last * INTERVAL '1 microsecond')
      FROM unnest(spoken, stood, firsts, lasts) AS x (tenant, stood, first, last)
      WHERE h.tenant = x.tenant AND h.standing = x.stood
        AND h.since < TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.first * INTERVAL '1 microsecond'
        AND TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.first * INTERVAL '1 microsecond' <= h.last_observed_at + h.holds
        AND (h.noted IS NULL OR TIMESTAMPTZ '2000-01-01T00:00:00Z' + x.last * INTERVAL '1 microsecond' < h.noted)
      RETURNING h.tenant
    )
    SELECT array_agg(g.tenant) INTO moved FROM gone_on g;
    IF coalesce(cardinality(moved), 0) <> cardinality(spoken) THEN
      SELECT array_agg(s.tenant) INTO culprits FROM unnest(spoken) AS s (tenant) WHERE (s.tenant = ANY (moved)) IS NOT TRUE;
      RAISE EXCEPTION 'an open end is not as remembered' USING ERRCODE = 'EC002', DETAIL = array_to_string(culprits, ' ');
    END IF;
  END IF;
  PERFORM bus_tell(origin, 'samples', whose, body);
  RETURN clock_timestamp();
END
$$;
