-- A commit that finds everything as it remembers it is one statement (ecpmon/storage/steady.py). What it remembers of a
-- timeline's open end has a number, which rises with every change of anything but the last observation.
ALTER TABLE availability_heads ADD COLUMN standing bigint NOT NULL DEFAULT 0;

CREATE FUNCTION head_stands_anew() RETURNS trigger AS $$
BEGIN
  NEW.standing := OLD.standing + 1;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER head_stands_anew
  BEFORE UPDATE OF state, since, holds, share, doubt, age, unknown, says, noted, voices, held_until ON availability_heads
  FOR EACH ROW EXECUTE FUNCTION head_stands_anew();

-- By which source a tenant is judged, and how long what it says holds, is remembered with it. In the order of all who lock heads.
CREATE FUNCTION heads_follow_regimes() RETURNS trigger AS $$
BEGIN
  PERFORM FROM availability_heads WHERE tenant IN (SELECT tenant FROM changed) ORDER BY tenant FOR UPDATE;
  UPDATE availability_heads SET standing = standing + 1 WHERE tenant IN (SELECT tenant FROM changed);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER heads_follow_inserts AFTER INSERT ON evidence_regimes
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heads_follow_regimes();
CREATE TRIGGER heads_follow_updates AFTER UPDATE ON evidence_regimes
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heads_follow_regimes();
CREATE TRIGGER heads_follow_deletes AFTER DELETE ON evidence_regimes
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION heads_follow_regimes();

-- What a commit of one statement does once its frames are `stored`, or EC002: something is not as it was remembered. Of
-- `whose` tenants these are the `names`; the heads of `spoken` stand as they `stood`, and what is said from `firsts` to
-- `lasts` (microseconds after 2000) goes on with them; marks of `buckets` are missing, and others may be left out until
-- `open_until`. What time it is here.
CREATE FUNCTION go_on_steadily(
  stored bigint, whose bigint[], names text[], spoken bigint[], stood bigint[], firsts bigint[], lasts bigint[],
  marked bigint[], buckets timestamptz[], open_until timestamptz, origin text, body jsonb
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
  found_rows bigint;
BEGIN
  SELECT count(*) INTO found_rows FROM unnest(whose, names) AS x (id, name)
  JOIN tenants t ON t.id = x.id AND t.tenant_id = x.name AND t.deleted_at IS NULL;
  IF found_rows <> cardinality(whose) OR clock_timestamp() >= open_until THEN
    RAISE EXCEPTION 'a tenant or a bucket is not as remembered: stored the long way' USING ERRCODE = 'EC002';
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
    )
    UPDATE availability_heads h SET last_observed_at = greatest(h.last_observed_at, g.last)
    FROM going g WHERE h.tenant = g.tenant;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> cardinality(spoken) THEN
      RAISE EXCEPTION 'an open end is not as remembered: stored the long way' USING ERRCODE = 'EC002';
    END IF;
  END IF;
  PERFORM bus_tell(origin, 'samples', whose, body);
  RETURN clock_timestamp();
END
$$;
