-- Several voices of one tenant (ecpmon/sla/voices.py): what holds at the open end of its timeline, and which components are
-- expected to be heard.

ALTER TABLE availability_heads
  -- The voices that say all there is to say, every time they speak; NULL: there are several that speak by turns.
  ADD COLUMN says text,
  -- Until then `evidence_heard` knows that the components among them are heard; NULL: there are none.
  ADD COLUMN noted timestamptz
    CONSTRAINT availability_heads_noted_readable CHECK (noted BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  -- Without `says`: what each of them said last, and until when it holds. NULL as well: the samples say it.
  ADD COLUMN voices jsonb;

-- When components are expected to be heard: each value adds from its instant until a day after the end of its hour.
CREATE TABLE evidence_heard (
  tenant    bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  source    text NOT NULL,
  component text NOT NULL,
  heard     tstzmultirange NOT NULL,
  PRIMARY KEY (tenant, source, component)
) WITH (fillfactor = 50);

-- As before; who speaks there is found out again.
CREATE OR REPLACE FUNCTION heal_timeline(whose bigint, latest timestamptz) RETURNS void AS $$
DECLARE
  head availability_heads;
  known record;
BEGIN
  SELECT * INTO STRICT head FROM availability_heads WHERE tenant = whose FOR UPDATE;
  UPDATE availability_heads SET says = NULL, noted = NULL, voices = NULL WHERE tenant = whose;
  DELETE FROM availability_spans
   WHERE tenant = whose AND (lower(period) < '1970-01-01T00:00:00Z' OR lower(period) >= latest
                             OR (state = 'gap' AND upper(period) > latest));
  UPDATE availability_spans SET period = tstzrange(lower(period), latest) WHERE tenant = whose AND upper(period) > latest;
  IF head.since BETWEEN '1970-01-01T00:00:00Z' AND latest THEN
    UPDATE availability_heads SET last_observed_at = least(last_observed_at, latest) WHERE tenant = whose;
  ELSE
    SELECT lower(s.period) AS since, s.state, s.share, s.doubt, r.holds, r.age, upper(s.period) - r.holds AS last INTO known
    FROM availability_spans s CROSS JOIN LATERAL (
      SELECT holds, age FROM evidence_regimes WHERE tenant = whose
      ORDER BY valid_from <= lower(s.period) DESC, valid_from DESC LIMIT 1) AS r
    WHERE s.tenant = whose AND s.state <> 'gap' ORDER BY lower(s.period) DESC LIMIT 1;
    DELETE FROM availability_spans WHERE tenant = whose AND lower(period) >= coalesce(known.since, '1970-01-01T00:00:00Z');
    UPDATE availability_heads
    SET first_observed_at = least(first_observed_at, known.since), state = known.state, since = known.since,
        last_observed_at = greatest(known.since, known.last), holds = known.holds, share = coalesce(known.share, 1),
        doubt = coalesce(known.doubt, 0), age = known.age
    WHERE tenant = whose AND known.since IS NOT NULL;
    UPDATE availability_heads
    SET first_observed_at = NULL, state = NULL, since = NULL, last_observed_at = NULL, holds = NULL, share = 1,
        doubt = 0, age = NULL
    WHERE tenant = whose AND known.since IS NULL;
  END IF;
  UPDATE availability_heads h
  SET first_observed_at = coalesce((SELECT min(lower(period)) FROM availability_spans WHERE tenant = whose), h.since)
  WHERE tenant = whose AND first_observed_at < '1970-01-01T00:00:00Z';
END
$$ LANGUAGE plpgsql;

-- Whether something was taken back there: then who was heard is looked at as well.
ALTER TABLE evidence_dirty ADD COLUMN gone boolean NOT NULL DEFAULT false;
CREATE OR REPLACE FUNCTION frames_deleted() RETURNS trigger AS $$
BEGIN
  IF OLD.ts BETWEEN '1970-01-01T00:00:00Z' AND input_now() + INTERVAL '1 day'
     AND EXISTS (SELECT FROM tenants WHERE id = OLD.tenant) THEN
    INSERT INTO rollup_dirty (tenant, bucket, shrunk) VALUES (OLD.tenant, time_bucket('5 minutes', OLD.ts), true)
    ON CONFLICT (tenant, bucket) DO UPDATE SET generation = rollup_dirty.generation + 1, shrunk = true;
    INSERT INTO evidence_dirty (tenant, ts, gone)
    SELECT OLD.tenant, OLD.ts, true WHERE EXISTS (
      SELECT FROM series WHERE id = ANY(OLD.series) AND metric_name IN ('up', 'error_rate'));
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
