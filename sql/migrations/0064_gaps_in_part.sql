-- A component with a weight that falls silent is a gap for its part (ecpmon/sla/voices.py). The `share` of a gap is how much
-- of the tenant is unknown, the rest of it is up; of what is down in part `unknown` says it. Where nobody has weights all
-- gaps are whole, and nothing is unknown beside what is down.

ALTER TABLE availability_heads
  ADD COLUMN unknown double precision NOT NULL DEFAULT 0 CHECK (unknown >= 0 AND unknown < 1),
  DROP CONSTRAINT availability_heads_state_check,
  -- A gap in part was observed.
  ADD CONSTRAINT availability_heads_state_check CHECK (state IN ('up', 'down') OR (state = 'gap' AND share < 1)),
  DROP CONSTRAINT availability_heads_check2,
  ADD CONSTRAINT availability_heads_shares CHECK ((state <> 'up' OR share = 1) AND (state = 'down' OR unknown = 0));
ALTER TABLE availability_spans
  ADD COLUMN unknown double precision NOT NULL DEFAULT 0 CHECK (unknown >= 0 AND unknown < 1),
  DROP CONSTRAINT availability_spans_reason_check,
  ADD CONSTRAINT availability_spans_reason_check
    CHECK (reason IN ('target_failed', 'collector_down', 'not_pushed', 'part_silent')),
  DROP CONSTRAINT availability_spans_check1,
  ADD CONSTRAINT availability_spans_shares CHECK ((state <> 'up' OR share = 1) AND (state = 'down' OR unknown = 0));
ALTER TABLE availability_sums
  ADD COLUMN unknown double precision NOT NULL DEFAULT 0 CHECK (unknown >= 0 AND unknown < 1),
  -- The share that was down just before; if a gap ends there, what was unknown of it, as a negative number.
  DROP CONSTRAINT availability_sums_was_check,
  ADD CONSTRAINT availability_sums_was_check CHECK (was BETWEEN -1 AND 1);

-- (early, late) of the change with which a row begins: `ecpmon.model.sums.doubted`. Late is as it was, of gaps in part too.
CREATE FUNCTION change_early(is_down boolean, share double precision, unknown double precision, was double precision)
RETURNS double precision AS $$
  SELECT least(greatest(CASE WHEN is_down THEN share ELSE 0 END - greatest(was, 0), 0)
                 + greatest(CASE WHEN is_down THEN unknown ELSE share END - greatest(-was, 0), 0),
               1 - greatest(was, 0) - greatest(-was, 0))
$$ LANGUAGE sql IMMUTABLE;
CREATE OR REPLACE FUNCTION change_late(is_down boolean, share double precision, was double precision)
RETURNS double precision AS $$
  SELECT greatest(greatest(was, 0) - CASE WHEN is_down THEN share ELSE 0 END, 0)
$$ LANGUAGE sql IMMUTABLE;

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
           base.gap_before + sum(j.length * CASE WHEN j.is_down THEN j.unknown ELSE j.share END) OVER earlier AS gap_before,
           base.hard_before + sum(CASE WHEN j.is_down THEN j.length ELSE '0' END) OVER earlier AS hard_before,
           base.entries_before + count(*) OVER earlier AS entries_before,
           base.downs_before + count(*) FILTER (WHERE j.is_down) OVER earlier AS downs_before,
           base.outages_before + count(*) FILTER (WHERE j.opens) OVER earlier AS outages_before,
           base.early_before + sum(change_early(j.is_down, j.share, j.unknown, j.was) * j.doubt) OVER earlier AS early_before,
           -- What is down and not followed at once comes up at its end.
           base.late_before + sum(change_late(j.is_down, j.share, j.was) * j.doubt
                                  + CASE WHEN j.comes_up THEN j.share * j.doubt_after ELSE 0 END) OVER earlier AS late_before
    FROM (
      SELECT k.*, k.is_down AND k.joins IS NULL AS opens FROM (
        SELECT r.ctid AS place, r.starts, r.is_down, r.share, r.unknown, r.doubt, r.doubt_after, r.ends - r.starts AS length,
               CASE WHEN r.starts = base.starts THEN r.was WHEN lag(r.ends) OVER w < r.starts THEN 0
                    WHEN lag(r.is_down) OVER w THEN lag(r.share) OVER w ELSE -lag(r.share) OVER w END AS was,
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
  INSERT INTO availability_sums (tenant, starts, ends, is_down, share, outage_at, outage_hard, down_before, gap_before, doubt, doubt_after,
                                 unknown)
  SELECT tenant, lower(period), upper(period), state = 'down', share, CASE WHEN state = 'down' THEN lower(period) END,
         CASE WHEN state = 'down' THEN INTERVAL '0' END, '0', '0', doubt, doubt_after, unknown
  FROM fresh WHERE state <> 'up';
  PERFORM availability_sums_follow(changed, since);
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;
DROP FUNCTION change_early(boolean, double precision, double precision);

-- A gap in part is something that was observed.
CREATE OR REPLACE FUNCTION heal_timeline(whose bigint, latest timestamptz) RETURNS void AS $$
DECLARE
  head availability_heads;
  known record;
BEGIN
  SELECT * INTO STRICT head FROM availability_heads WHERE tenant = whose FOR UPDATE;
  UPDATE availability_heads SET says = NULL, noted = NULL, voices = NULL WHERE tenant = whose;
  DELETE FROM availability_spans
   WHERE tenant = whose AND (lower(period) < '1970-01-01T00:00:00Z' OR lower(period) >= latest
                             OR (state = 'gap' AND share = 1 AND upper(period) > latest));
  UPDATE availability_spans SET period = tstzrange(lower(period), latest) WHERE tenant = whose AND upper(period) > latest;
  IF head.since BETWEEN '1970-01-01T00:00:00Z' AND latest THEN
    UPDATE availability_heads SET last_observed_at = least(last_observed_at, latest) WHERE tenant = whose;
  ELSE
    SELECT lower(s.period) AS since, s.state, s.share, s.unknown, s.doubt, r.holds, r.age, upper(s.period) - r.holds AS last INTO known
    FROM availability_spans s CROSS JOIN LATERAL (
      SELECT holds, age FROM evidence_regimes WHERE tenant = whose
      ORDER BY valid_from <= lower(s.period) DESC, valid_from DESC LIMIT 1) AS r
    WHERE s.tenant = whose AND (s.state <> 'gap' OR s.share < 1) ORDER BY lower(s.period) DESC LIMIT 1;
    DELETE FROM availability_spans WHERE tenant = whose AND lower(period) >= coalesce(known.since, '1970-01-01T00:00:00Z');
    UPDATE availability_heads
    SET first_observed_at = least(first_observed_at, known.since), state = known.state, since = known.since,
        last_observed_at = greatest(known.since, known.last), holds = known.holds, share = coalesce(known.share, 1),
        doubt = coalesce(known.doubt, 0), age = known.age, unknown = coalesce(known.unknown, 0)
    WHERE tenant = whose AND known.since IS NOT NULL;
    UPDATE availability_heads
    SET first_observed_at = NULL, state = NULL, since = NULL, last_observed_at = NULL, holds = NULL, share = 1,
        doubt = 0, age = NULL, unknown = 0
    WHERE tenant = whose AND known.since IS NULL;
  END IF;
  UPDATE availability_heads h
  SET first_observed_at = coalesce((SELECT min(lower(period)) FROM availability_spans WHERE tenant = whose), h.since)
  WHERE tenant = whose AND first_observed_at < '1970-01-01T00:00:00Z';
END
$$ LANGUAGE plpgsql;
