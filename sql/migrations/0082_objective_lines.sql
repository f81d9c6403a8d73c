-- The minutes of an objective's hour were three arrays of 60 running sums of 8 bytes each: 34 bytes a minute on disk, and as
-- much in the write-ahead log each time a minute was counted. A running sum is close to a straight line. So it is told as what
-- a minute adds (`*_step`), and the distances from that line in as few bytes as the widest needs, none where it is the line
-- itself; and only through the last minute in which anything was counted. `ecpmon/storage/lines.py` makes and reads them.

-- A running sum through a minute (from 1; before it nothing), of `minutes` that hold anything.
CREATE FUNCTION line_through(minute integer, minutes integer, step bigint, off bytea) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN minute < 1 OR minutes < 1 THEN 0 ELSE step * least(minute, minutes) + CASE
  WHEN off IS NULL OR octet_length(off) <= get_byte(off, 0) * (minutes - least(minute, minutes) + 1) THEN 0
  WHEN get_byte(off, 0) = 1 THEN get_byte(off, octet_length(off) - (minutes - least(minute, minutes) + 1)) - 128
  WHEN get_byte(off, 0) = 2 THEN 256 * get_byte(off, octet_length(off) - 2 * (minutes - least(minute, minutes) + 1))
    + get_byte(off, octet_length(off) - 2 * (minutes - least(minute, minutes) + 1) + 1) - 32768
  ELSE ('x' || encode(substring(off FROM octet_length(off) - get_byte(off, 0) * (minutes - least(minute, minutes) + 1) + 1
                                FOR get_byte(off, 0)), 'hex'))::bit(64)::bigint
       >> CASE get_byte(off, 0) WHEN 4 THEN 32 ELSE 0 END END END;

-- Whether these are distances from a line through so many minutes.
CREATE FUNCTION is_off_line(off bytea, minutes integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(off) > 1 AND get_byte(off, 0) IN (1, 2, 4, 8) AND (octet_length(off) - 1) % get_byte(off, 0) = 0
       AND (octet_length(off) - 1) / get_byte(off, 0) <= minutes;

-- Running sums as such a line, as `ecpmon/storage/lines.py` makes it: for whoever loads many hours by SQL.
CREATE FUNCTION as_line(sums bigint[], minutes integer, OUT step bigint, OUT off bytea) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  turn integer;
  tried bigint;
  made bytea;
  least_off numeric;
  greatest_off numeric;
  first_off integer;
  width integer;
BEGIN
  step := CASE WHEN minutes = 0 THEN 0 END;
  FOR turn, tried IN
    SELECT lines.turn, lines.t FROM (
      SELECT 1 AS turn, div(sums[minutes]::numeric, nullif(minutes, 0)) - (mod(sums[minutes], nullif(minutes, 0)) < 0)::integer AS t
      UNION ALL
      SELECT 2, mode() WITHIN GROUP (ORDER BY s::numeric - coalesce(sums[k - 1], 0))
      FROM unnest(sums[:minutes]) WITH ORDINALITY AS x (s, k)
      UNION ALL
      SELECT 3, 0
    ) AS lines WHERE minutes > 0 AND t BETWEEN -9223372036854775808 AND 9223372036854775807 ORDER BY lines.turn
  LOOP
    SELECT min(s - tried::numeric * k), max(s - tried::numeric * k), min(k) FILTER (WHERE s <> tried::numeric * k)
    INTO least_off, greatest_off, first_off FROM unnest(sums[:minutes]) WITH ORDINALITY AS x (s, k);
    -- The last one serves only where no other does.
    EXIT WHEN turn = 3 AND step IS NOT NULL;
    CONTINUE WHEN least_off < -9223372036854775808 OR greatest_off > 9223372036854775807;
    width := CASE WHEN least_off >= -128 AND greatest_off < 128 THEN 1
                  WHEN least_off >= -32768 AND greatest_off < 32768 THEN 2
                  WHEN least_off >= -2147483648 AND greatest_off < 2147483648 THEN 4 ELSE 8 END;
    made := (
      SELECT substring(int4send(width) FROM 4)
             || string_agg(substring(int8send((s - tried::numeric * k)::bigint
                                              + CASE width WHEN 1 THEN 128 WHEN 2 THEN 32768 ELSE 0 END)
                                     FROM 9 - width), ''::bytea ORDER BY k)
      FROM unnest(sums[:minutes]) WITH ORDINALITY AS x (s, k) WHERE k >= first_off);
    IF step IS NULL OR coalesce(octet_length(made), 0) < coalesce(octet_length(off), 0) THEN
      step := tried;
      off := made;
    END IF;
  END LOOP;
END
$$;

-- Who counts waits until this is done; who reads does not, but for a moment at the end.
LOCK TABLE objective_hours IN SHARE ROW EXCLUSIVE MODE;
CREATE TABLE objective_lines (
  objective       bigint NOT NULL,
  hour            timestamptz NOT NULL CHECK (date_trunc('hour', hour, 'UTC') = hour)
    CONSTRAINT objective_hours_hour_readable CHECK (hour BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  -- Everything before the hour, from an arbitrary origin.
  good_before     bigint NOT NULL DEFAULT 0,
  total_before    bigint NOT NULL DEFAULT 0,
  observed_before bigint NOT NULL DEFAULT 0,
  bridged_before  bigint NOT NULL DEFAULT 0,
  resets_before   bigint NOT NULL DEFAULT 0,
  -- As lines: what was counted, what of it was not good, for how long readings held. `minutes`: through the last that adds to any.
  total_step      bigint NOT NULL DEFAULT 0,
  bad_step        bigint NOT NULL DEFAULT 0,
  observed_step   bigint NOT NULL DEFAULT 0,
  minutes         smallint NOT NULL CHECK (minutes BETWEEN 0 AND 60),
  total_off       bytea CHECK (is_off_line(total_off, minutes)),
  bad_off         bytea CHECK (is_off_line(bad_off, minutes)),
  observed_off    bytea CHECK (is_off_line(observed_off, minutes)),
  -- Running sums of what few hours hold anything of.
  bridged         bigint[] CHECK (cardinality(bridged) = 60 AND bridged[1] >= 0),
  resets          bigint[] CHECK (cardinality(resets) = 60 AND resets[1] >= 0),
  CHECK (line_through(1, minutes, total_step, total_off) >= 0
         AND line_through(60, minutes, total_step, total_off) >= line_through(1, minutes, total_step, total_off)),
  CHECK (line_through(60, minutes, observed_step, observed_off) BETWEEN 0 AND 3600000000)
-- Room for newer versions of some hours of a page: the present one of each objective is written every minute.
) WITH (fillfactor = 90);

INSERT INTO objective_lines
SELECT h.objective, h.hour, h.good_before, h.total_before, h.observed_before, h.bridged_before, h.resets_before,
       t.step, b.step, o.step, n.minutes, t.off, b.off, o.off, h.bridged, h.resets
FROM objective_hours h
CROSS JOIN LATERAL (SELECT array_agg(x.total - x.good ORDER BY x.k) AS bad
                    FROM unnest(h.total, h.good) WITH ORDINALITY AS x (total, good, k)) AS d
CROSS JOIN LATERAL (
  SELECT coalesce(max(k), 0) AS minutes FROM generate_series(1, 60) AS k
  WHERE h.total[k] <> coalesce(h.total[k - 1], 0) OR h.good[k] <> coalesce(h.good[k - 1], 0)
     OR h.observed[k] <> coalesce(h.observed[k - 1], 0)
) AS n
CROSS JOIN LATERAL as_line(h.total, n.minutes) AS t
CROSS JOIN LATERAL as_line(d.bad, n.minutes) AS b
CROSS JOIN LATERAL as_line(h.observed, n.minutes) AS o
ORDER BY h.objective, h.hour;

-- One row per minute that holds anything, for people and dashboards.
CREATE OR REPLACE VIEW objective_minutes AS
SELECT tenant_id, objective, minute, good, total, observed_seconds, bridged_seconds, assumed_resets
FROM (
  SELECT t.tenant_id, o.name AS objective, h.hour + make_interval(mins => k - 1) AS minute,
         m.total - (line_through(k, h.minutes, h.bad_step, h.bad_off) - line_through(k - 1, h.minutes, h.bad_step, h.bad_off))
           AS good,
         m.total,
         (line_through(k, h.minutes, h.observed_step, h.observed_off)
          - line_through(k - 1, h.minutes, h.observed_step, h.observed_off)) / 1e6 AS observed_seconds,
         coalesce(h.bridged[k] - coalesce(h.bridged[k - 1], 0), 0) / 1e6 AS bridged_seconds,
         coalesce(h.resets[k] - coalesce(h.resets[k - 1], 0), 0) AS assumed_resets
  FROM tenants t
  JOIN objectives o ON o.tenant = t.id
  JOIN objective_lines h ON h.objective = o.id
  CROSS JOIN generate_series(1, 60) AS k
  CROSS JOIN LATERAL (
    SELECT line_through(k, h.minutes, h.total_step, h.total_off) - line_through(k - 1, h.minutes, h.total_step, h.total_off)
      AS total) AS m
  WHERE t.deleted_at IS NULL AND o.retired_at IS NULL
) AS minutes
WHERE observed_seconds > 0 OR total > 0 OR good <> 0 OR bridged_seconds > 0 OR assumed_resets > 0;

DROP TABLE objective_hours;
ALTER TABLE objective_lines RENAME TO objective_hours;
ALTER TABLE objective_hours
  ADD CONSTRAINT objective_hours_pkey PRIMARY KEY (objective, hour),
  ADD CONSTRAINT objective_hours_objective_fkey FOREIGN KEY (objective) REFERENCES objectives (id) ON DELETE CASCADE;
