-- The doubt of every edge of the timeline is its own (ADR 0007): for how many seconds before it the change may have gone
-- unseen, which is mostly since the observation before it. It is kept with the edge, so that another interval, source or way
-- of pushing changes no bound of the past.

-- How the tenant's pushes are meant: a change as it happens, or what somebody found who looks now and then.
ALTER TABLE tenants ADD COLUMN push_mode text NOT NULL DEFAULT 'changes' CHECK (push_mode IN ('changes', 'samples'));

-- How old what is observed may be; NULL: changes are told at their instants.
ALTER TABLE evidence_regimes ADD COLUMN age interval CHECK (age BETWEEN INTERVAL '0' AND INTERVAL '366 days');
ALTER TABLE availability_heads
  -- Of the change at `since`, and of the latest observation.
  ADD COLUMN doubt double precision NOT NULL DEFAULT 0 CHECK (doubt BETWEEN 0 AND 1e9),
  ADD COLUMN age interval CHECK (age BETWEEN INTERVAL '0' AND INTERVAL '366 days');
-- Of the changes at begin and end.
ALTER TABLE availability_spans
  ADD COLUMN doubt double precision NOT NULL DEFAULT 0 CHECK (doubt BETWEEN 0 AND 1e9),
  ADD COLUMN doubt_after double precision NOT NULL DEFAULT 0 CHECK (doubt_after BETWEEN 0 AND 1e9);
-- `early_before` and `late_before` are seconds from now on: shares times doubts.
ALTER TABLE availability_sums
  ADD COLUMN doubt double precision NOT NULL DEFAULT 0 CHECK (doubt BETWEEN 0 AND 1e9),
  ADD COLUMN doubt_after double precision NOT NULL DEFAULT 0 CHECK (doubt_after BETWEEN 0 AND 1e9);

-- What is there already keeps the bounds that its tenant's present source gives it. Nothing that follows from the rows changes.
ALTER TABLE evidence_regimes DISABLE TRIGGER USER;
ALTER TABLE availability_spans DISABLE TRIGGER USER;
UPDATE evidence_regimes
SET age = CASE source WHEN 'prometheus' THEN least(holds / 2.5, INTERVAL '366 days') WHEN 'simulator' THEN INTERVAL '0' END;
CREATE TEMPORARY TABLE present ON COMMIT DROP AS
SELECT DISTINCT ON (tenant) tenant, age, CASE WHEN age IS NULL THEN 0 ELSE least(date_part('epoch', holds + age), 1e9) END AS doubt
FROM evidence_regimes ORDER BY tenant, valid_from DESC;
UPDATE availability_spans s SET doubt = p.doubt, doubt_after = p.doubt
FROM present p WHERE p.tenant = s.tenant AND p.doubt > 0;
UPDATE availability_sums s
SET doubt = p.doubt, doubt_after = p.doubt, early_before = s.early_before * p.doubt, late_before = s.late_before * p.doubt
FROM present p WHERE p.tenant = s.tenant;
UPDATE availability_heads h SET doubt = p.doubt, age = p.age
FROM present p WHERE p.tenant = h.tenant AND h.state IS NOT NULL;
ALTER TABLE evidence_regimes ENABLE TRIGGER USER;
ALTER TABLE availability_spans ENABLE TRIGGER USER;

CREATE OR REPLACE FUNCTION tenant_starts() RETURNS trigger AS $$
BEGIN
  INSERT INTO availability_heads (tenant) VALUES (NEW.id);
  INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
  VALUES (NEW.id, '1970-01-01T00:00:00Z', CASE WHEN NEW.sli_source = 'auto' THEN 'push' ELSE NEW.sli_source END,
          CASE NEW.sli_source WHEN 'simulator' THEN INTERVAL '12.5 s' WHEN 'prometheus' THEN INTERVAL '37.5 s'
               ELSE make_interval(secs => 2.5 * NEW.push_interval_seconds) END, NEW.component_weights,
          CASE WHEN NEW.sli_source = 'simulator' THEN INTERVAL '0' WHEN NEW.sli_source = 'prometheus' THEN INTERVAL '15 s'
               WHEN NEW.push_mode = 'samples' THEN INTERVAL '0' END);
  RETURN NULL;
END
$$ LANGUAGE plpgsql;

-- Makes the rows from `since[i]` on continue the row before it (or the tenant's first row, which keeps its own).
CREATE OR REPLACE FUNCTION availability_sums_follow(changed bigint[], since timestamptz[]) RETURNS void AS $$
BEGIN
  UPDATE availability_sums s
  SET was = n.was, joins = n.joins, outage_at = n.outage_at, down_before = n.down_before, gap_before = n.gap_before,
      hard_before = n.hard_before, lasting_before = n.lasting_before, entries_before = n.entries_before,
      downs_before = n.downs_before, outages_before = n.outages_before, early_before = n.early_before, late_before = n.late_before
  FROM unnest(changed, since) AS c (tenant, first)
  CROSS JOIN LATERAL (
    SELECT b.* FROM availability_sums b
    WHERE b.tenant = c.tenant AND b.starts >= coalesce(
      (SELECT max(p.starts) FROM availability_sums p WHERE p.tenant = c.tenant AND p.starts < c.first), c.first)
    ORDER BY b.starts LIMIT 1
  ) AS base
  CROSS JOIN LATERAL (
    SELECT j.place, j.was, j.joins,
           CASE WHEN j.is_down THEN coalesce(max(j.starts) FILTER (WHERE j.opens) OVER through, base.outage_at) END
             AS outage_at,
           base.down_before + sum(CASE WHEN j.is_down THEN j.length * j.share ELSE '0' END) OVER earlier AS down_before,
           base.gap_before + sum(CASE WHEN j.is_down THEN '0' ELSE j.length END) OVER earlier AS gap_before,
           base.hard_before + sum(CASE WHEN j.is_down THEN j.length ELSE '0' END) OVER earlier AS hard_before,
           base.lasting_before + sum(CASE WHEN j.is_down THEN j.length + coalesce(j.joins, '0') ELSE '0' END) OVER earlier
             AS lasting_before,
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
  ) AS n
  -- By its place, so that no plan can search for it; the first row's own sums are NULL here. The caller has locked
  -- the tenants' heads, nobody moves the rows meanwhile.
  WHERE s.ctid = n.place AND n.down_before IS NOT NULL
    AND (s.was, s.joins, s.outage_at, s.down_before, s.gap_before, s.hard_before, s.lasting_before, s.entries_before,
         s.downs_before, s.outages_before, s.early_before, s.late_before)
      IS DISTINCT FROM
        (n.was, n.joins, n.outage_at, n.down_before, n.gap_before, n.hard_before, n.lasting_before, n.entries_before,
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
  INSERT INTO availability_sums (tenant, starts, ends, is_down, share, outage_at, down_before, gap_before, doubt, doubt_after)
  SELECT tenant, lower(period), upper(period), state = 'down', share, CASE WHEN state = 'down' THEN lower(period) END,
         '0', '0', doubt, doubt_after
  FROM fresh WHERE state <> 'up';
  PERFORM availability_sums_follow(changed, since);
  RETURN NULL;
END
$$ LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;

-- Takes out of a tenant's timeline what lies before 1970 or after `latest`. Its open end is then what was known last before:
-- a closed span of an observation ends where the observation no longer holds.
CREATE OR REPLACE FUNCTION heal_timeline(whose bigint, latest timestamptz) RETURNS void AS $$
DECLARE
  head availability_heads;
  known record;
BEGIN
  SELECT * INTO STRICT head FROM availability_heads WHERE tenant = whose FOR UPDATE;
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
