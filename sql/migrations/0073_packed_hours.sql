-- Hours that are over, packed (docs/adr/0015-packed-hours.md): of one tenant and hour the series that were told at the same
-- instants are one row. A value is a whole number over a power of ten, told as its distance from a straight line in up to four
-- bytes, each in an array of its own; what is no such number is stored as it is. `ecpmon/storage/packs.py` makes them.
CREATE SEQUENCE packed_numbers;
CREATE TABLE packed_hours (
  hour      timestamptz NOT NULL,
  tenant    bigint NOT NULL,
  part      integer NOT NULL,
  -- Its samples are numbered from here on, 65,536 to a number (compat.monitoring_data); negative, as those of frames are not.
  number    bigint NOT NULL,
  packed_at timestamptz NOT NULL,
  -- The instant i (from 0) is `first` + i * `step` + jitter[i + 1] microseconds after the hour; no jitter: none at all.
  instants  integer NOT NULL CHECK (instants > 0),
  first     bigint NOT NULL,
  step      bigint NOT NULL,
  jitter    bigint[],
  -- Of the k-th series: (base[k] + slope[k] * i + its distance) / divisor[k].
  series    integer[] NOT NULL,
  base      bigint[] NOT NULL,
  slope     bigint[] NOT NULL,
  divisor   double precision[] NOT NULL,
  -- The distances as digits to the base 256 from -128 to 127, series by series. No digits: all are 0.
  digit0    "char"[] NOT NULL,
  digit1    "char"[],
  digit2    "char"[],
  digit3    "char"[],
  -- Of other series the values themselves, series by series.
  as_told   integer[] NOT NULL,
  told      double precision[] NOT NULL,
  PRIMARY KEY (tenant, hour, part),
  CONSTRAINT packed_hours_hour_readable CHECK (hour BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  CONSTRAINT packed_hours_packed_at_readable CHECK (packed_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z')
);
SELECT create_hypertable('packed_hours', by_range('hour', INTERVAL '1 day'), create_default_indexes => false);

-- One row per sample, in a schema of its own: people read `monitoring_data`. Views and functions are put into the statement that
-- uses them: name the tenant, the hours and the series, and nothing else is taken apart.
CREATE SCHEMA packed;
REVOKE ALL ON SCHEMA packed FROM PUBLIC;
CREATE VIEW packed.whole_numbers AS
SELECT p.tenant, p.hour, p.part, p.hour + (p.first + p.step * (v.i - 1) + coalesce(v.jitter, 0)) * INTERVAL '1 microsecond' AS ts,
       s.series, (s.base + s.slope * (v.i - 1) + v.digit0::integer + 256::bigint * coalesce(v.digit1::integer, 0)
                  + 65536::bigint * coalesce(v.digit2::integer, 0) + 16777216::bigint * coalesce(v.digit3::integer, 0)
                 )::double precision / s.divisor AS value,
       p.number * 65536 + (s.k - 1) * p.instants + v.i AS number
FROM packed_hours p
CROSS JOIN LATERAL unnest(p.series, p.base, p.slope, p.divisor) WITH ORDINALITY AS s (series, base, slope, divisor, k)
CROSS JOIN LATERAL unnest(
  p.digit0[(s.k - 1) * p.instants + 1 : s.k * p.instants], p.digit1[(s.k - 1) * p.instants + 1 : s.k * p.instants],
  p.digit2[(s.k - 1) * p.instants + 1 : s.k * p.instants], p.digit3[(s.k - 1) * p.instants + 1 : s.k * p.instants], p.jitter
) WITH ORDINALITY AS v (digit0, digit1, digit2, digit3, jitter, i);
CREATE VIEW packed.as_told AS
SELECT p.tenant, p.hour, p.part, p.hour + (p.first + p.step * (v.i - 1) + coalesce(v.jitter, 0)) * INTERVAL '1 microsecond' AS ts,
       s.series, v.value, p.number * 65536 + (cardinality(p.series) + s.k - 1) * p.instants + v.i AS number
FROM packed_hours p
CROSS JOIN LATERAL unnest(p.as_told) WITH ORDINALITY AS s (series, k)
CROSS JOIN LATERAL unnest(p.told[(s.k - 1) * p.instants + 1 : s.k * p.instants], p.jitter) WITH ORDINALITY AS v (value, jitter, i);
CREATE VIEW packed.samples AS
SELECT tenant, hour, part, ts, series, value, number FROM packed.whole_numbers
UNION ALL
SELECT tenant, hour, part, ts, series, value, number FROM packed.as_told;

-- What was said about a tenant from `since` to before `until`, wherever it is stored. Of two values of one series and instant
-- that with the higher `seq` counts; what is packed was accepted before everything that is not.
CREATE FUNCTION samples_of(whose bigint, since timestamptz, until timestamptz)
RETURNS TABLE (ts timestamptz, seq bigint, series integer, value double precision) AS $$
  SELECT f.ts, f.seq, v.series, v.value
  FROM frames f CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
  WHERE f.tenant = whose AND f.ts >= since AND f.ts < until
  UNION ALL
  SELECT p.ts, 0::bigint, p.series, p.value FROM packed.samples p
  WHERE p.tenant = whose AND p.hour > since - INTERVAL '1 hour' AND p.hour < until AND p.ts >= since AND p.ts < until
$$ LANGUAGE sql STABLE;

-- The same as frames, the newest `most` after `since` up to `until`; of what is packed in its 40 newest rows.
CREATE FUNCTION newest_frames(whose bigint, since timestamptz, until timestamptz, most bigint)
RETURNS TABLE (ts timestamptz, seq bigint, series integer[], samples double precision[]) AS $$
  SELECT * FROM (
    (SELECT f.ts, f.seq, f.series, f.samples FROM frames f
     WHERE f.tenant = whose AND f.ts > since AND f.ts <= until ORDER BY f.ts DESC, f.seq DESC LIMIT most)
    UNION ALL
    SELECT u.ts, 0::bigint, u.series, u.samples
    FROM (SELECT q.hour, q.part FROM packed_hours q
          WHERE q.tenant = whose AND q.hour > since - INTERVAL '1 hour' AND q.hour <= until
          ORDER BY q.hour DESC LIMIT 40) AS h
    CROSS JOIN LATERAL (
      SELECT x.ts, array_agg(x.series) AS series, array_agg(x.value) AS samples
      FROM packed.samples x
      WHERE x.tenant = whose AND x.hour = h.hour AND x.part = h.part AND x.ts > since AND x.ts <= until GROUP BY x.ts
    ) AS u
  ) AS found ORDER BY ts DESC, seq DESC LIMIT most
$$ LANGUAGE sql STABLE;

-- Takes frames of tenant `whose` in [since, until) out of the open store, to be packed by the same transaction: those that were
-- numbered up to `upto`. From the chunks themselves: a DELETE from the hypertable locks all of them.
CREATE FUNCTION take_frames(whose bigint, since timestamptz, until timestamptz, upto bigint)
RETURNS TABLE (seq bigint, ts timestamptz, series integer[], samples double precision[]) AS $$
DECLARE
  chunk record;
BEGIN
  PERFORM set_config('ecpmon.packing', 'on', true);
  FOR chunk IN
    SELECT c.chunk_schema, c.chunk_name FROM timescaledb_information.chunks c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'frames' AND c.range_start < until AND c.range_end > since
  LOOP
    RETURN QUERY EXECUTE format(
      'DELETE FROM %I.%I f WHERE f.tenant = $1 AND f.ts >= $2 AND f.ts < $3 AND f.seq <= $4
       RETURNING f.seq, f.ts, f.series, f.samples', chunk.chunk_schema, chunk.chunk_name)
    USING whose, since, until, upto;
  END LOOP;
  PERFORM set_config('ecpmon.packing', 'off', true);
END
$$ LANGUAGE plpgsql;

-- What is packed is not taken back: it is only stored otherwise.
DROP TRIGGER frames_deleted ON frames;
CREATE TRIGGER frames_deleted AFTER DELETE ON frames FOR EACH ROW
  WHEN (coalesce(current_setting('ecpmon.packing', true), '') <> 'on') EXECUTE FUNCTION frames_deleted();

-- The other way: puts what is packed of [since, until) back into `frames`, hour by hour, where people may delete it. How many
-- frames that made.
CREATE FUNCTION unpack_hours(whose bigint, since timestamptz, until timestamptz) RETURNS bigint AS $$
DECLARE
  made bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ecpmon packing', 0));
  -- Whatever is in `frames` of these hours was accepted later.
  INSERT INTO frames (ts, tenant, seq, series, samples)
  SELECT p.ts, whose, 0, array_agg(p.series), array_agg(p.value) FROM packed.samples p
  WHERE p.tenant = whose AND p.hour > since - INTERVAL '1 hour' AND p.hour < until GROUP BY p.ts;
  GET DIAGNOSTICS made = ROW_COUNT;
  DELETE FROM packed_hours WHERE tenant = whose AND hour > since - INTERVAL '1 hour' AND hour < until;
  RETURN made;
END
$$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION objective_marks_since(whose bigint, since timestamptz) RETURNS void AS $$
  INSERT INTO objective_marks (tenant, starts, ends)
  SELECT whose, time_bucket('5 minutes', min(said.ts)), time_bucket('5 minutes', max(said.ts)) + INTERVAL '5 minutes'
  FROM (
    SELECT f.ts FROM frames f
    WHERE f.tenant = whose AND f.ts >= greatest(since, '1970-01-01T00:00:00Z') AND f.ts < input_now() + INTERVAL '1 day'
    UNION ALL
    -- The bounds of what each row holds.
    SELECT greatest(since, x.ts) FROM packed_hours p
    CROSS JOIN LATERAL (VALUES (p.hour), (p.hour + INTERVAL '59 minutes')) AS x (ts)
    WHERE p.tenant = whose AND p.hour > greatest(since, '1970-01-01T00:00:00Z') - INTERVAL '1 hour'
      AND p.hour < input_now() + INTERVAL '1 day'
  ) AS said HAVING min(said.ts) IS NOT NULL
  ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1
$$ LANGUAGE sql;

-- Each store is joined with the series for itself, so that of one metric only that is taken apart.
CREATE OR REPLACE VIEW monitoring_data AS
SELECT DISTINCT ON (tenant_id, metric_type, metric_name, data_source, labels, "timestamp")
       tenant_id, metric_type, metric_name, metric_value, "timestamp", data_source, labels
FROM (
  SELECT t.tenant_id, s.metric_type, s.metric_name, v.value AS metric_value, f.ts AS "timestamp", s.data_source, s.labels, f.seq
  FROM tenants t JOIN frames f ON f.tenant = t.id
  CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value) JOIN series s ON s.id = v.series
  WHERE t.deleted_at IS NULL
  UNION ALL
  SELECT t.tenant_id, s.metric_type, s.metric_name, p.value, p.ts, s.data_source, s.labels, 0
  FROM tenants t JOIN packed.whole_numbers p ON p.tenant = t.id JOIN series s ON s.id = p.series WHERE t.deleted_at IS NULL
  UNION ALL
  SELECT t.tenant_id, s.metric_type, s.metric_name, p.value, p.ts, s.data_source, s.labels, 0
  FROM tenants t JOIN packed.as_told p ON p.tenant = t.id JOIN series s ON s.id = p.series WHERE t.deleted_at IS NULL
) AS said
ORDER BY tenant_id, metric_type, metric_name, data_source, labels, "timestamp", seq DESC;

CREATE OR REPLACE VIEW compat.monitoring_data AS
SELECT DISTINCT ON (tenant_id, metric_type, metric_name, data_source, "timestamp", series)
       id, tenant_id, metric_type, metric_name, metric_value, "timestamp", data_source, labels
FROM (
  SELECT f.seq * 65536 + v.place AS id, t.id::integer AS tenant_id, s.metric_type,
         coalesce(w.metric_name, s.metric_name) AS metric_name, v.value AS metric_value, f.ts AS "timestamp", s.data_source,
         s.labels, s.id AS series, f.seq
  FROM public.tenants t JOIN public.frames f ON f.tenant = t.id
  CROSS JOIN LATERAL unnest(f.series, f.samples) WITH ORDINALITY AS v (series, value, place)
  JOIN public.series s ON s.id = v.series LEFT JOIN public.written_names w ON w.series = s.id
  WHERE t.deleted_at IS NULL
  UNION ALL
  SELECT p.number, t.id::integer, s.metric_type, coalesce(w.metric_name, s.metric_name), p.value, p.ts, s.data_source, s.labels,
         s.id, 0
  FROM public.tenants t JOIN packed.whole_numbers p ON p.tenant = t.id
  JOIN public.series s ON s.id = p.series LEFT JOIN public.written_names w ON w.series = s.id
  WHERE t.deleted_at IS NULL
  UNION ALL
  SELECT p.number, t.id::integer, s.metric_type, coalesce(w.metric_name, s.metric_name), p.value, p.ts, s.data_source, s.labels,
         s.id, 0
  FROM public.tenants t JOIN packed.as_told p ON p.tenant = t.id
  JOIN public.series s ON s.id = p.series LEFT JOIN public.written_names w ON w.series = s.id
  WHERE t.deleted_at IS NULL
) AS said
ORDER BY tenant_id, metric_type, metric_name, data_source, "timestamp", series, seq DESC;

CREATE OR REPLACE VIEW metrics_5m AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total / r.points AS avg, r.low AS min, r.high AS max, r.points AS count
FROM tenants t JOIN series s ON s.tenant = t.id JOIN rollup_5m r ON r.series = s.id
WHERE t.deleted_at IS NULL AND NOT EXISTS (SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket = r.bucket)
UNION ALL
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, d.bucket, u.total / u.points, u.low, u.high,
       u.points
FROM tenants t JOIN rollup_dirty d ON d.tenant = t.id
CROSS JOIN LATERAL (
  SELECT m.series, sum(m.value) AS total, min(m.value) AS low, max(m.value) AS high, count(*) AS points
  FROM (
    SELECT DISTINCT ON (f.series, f.ts) f.series, f.value
    FROM (
      SELECT o.ts, o.seq, v.series, v.value
      FROM frames o CROSS JOIN LATERAL unnest(o.series, o.samples) AS v (series, value)
      WHERE o.tenant = t.id AND o.ts >= d.bucket AND o.ts < d.bucket + INTERVAL '5 minutes'
      UNION ALL
      SELECT p.ts, 0, p.series, p.value FROM packed.samples p
      WHERE p.tenant = t.id AND p.hour > d.bucket - INTERVAL '1 hour' AND p.hour <= d.bucket
        AND p.ts >= d.bucket AND p.ts < d.bucket + INTERVAL '5 minutes'
    ) AS f
    WHERE f.value BETWEEN -1e100 AND 1e100
    ORDER BY f.series, f.ts, f.seq DESC
  ) AS m GROUP BY m.series
) AS u JOIN series s ON s.id = u.series
WHERE t.deleted_at IS NULL;

CREATE OR REPLACE VIEW metrics_1h AS
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, r.bucket AS "timestamp",
       r.total / r.points AS avg, r.low AS min, r.high AS max, r.points AS count
FROM tenants t JOIN series s ON s.tenant = t.id JOIN rollup_1h r ON r.series = s.id
WHERE t.deleted_at IS NULL AND NOT EXISTS (
  SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket >= r.bucket AND d.bucket < r.bucket + INTERVAL '1 hour')
UNION ALL
SELECT t.tenant_id, s.metric_type, s.metric_name, s.data_source, s.labels, h.hour, sum(u.total) / sum(u.points)::bigint,
       min(u.low), max(u.high), sum(u.points)::bigint
FROM tenants t
CROSS JOIN LATERAL (
  SELECT DISTINCT time_bucket('1 hour', d.bucket) AS hour FROM rollup_dirty d WHERE d.tenant = t.id
) AS h
CROSS JOIN LATERAL (
  SELECT r.series, r.total, r.low, r.high, r.points
  FROM series o JOIN rollup_5m r ON r.series = o.id
  WHERE o.tenant = t.id AND r.bucket >= h.hour AND r.bucket < h.hour + INTERVAL '1 hour'
    AND NOT EXISTS (SELECT FROM rollup_dirty d WHERE d.tenant = t.id AND d.bucket = r.bucket)
  UNION ALL
  SELECT m.series, sum(m.value), min(m.value), max(m.value), count(*)
  FROM (
    SELECT DISTINCT ON (f.series, f.ts) f.series, f.value
    FROM (
      SELECT o.ts, o.seq, v.series, v.value
      FROM rollup_dirty d
      JOIN frames o ON o.tenant = d.tenant AND o.ts >= d.bucket AND o.ts < d.bucket + INTERVAL '5 minutes'
      CROSS JOIN LATERAL unnest(o.series, o.samples) AS v (series, value)
      WHERE d.tenant = t.id AND d.bucket >= h.hour AND d.bucket < h.hour + INTERVAL '1 hour'
        AND o.ts >= h.hour AND o.ts < h.hour + INTERVAL '1 hour'
      UNION ALL
      SELECT p.ts, 0, p.series, p.value
      FROM packed.samples p JOIN rollup_dirty d ON d.tenant = p.tenant AND d.bucket = time_bucket('5 minutes', p.ts)
      WHERE p.tenant = t.id AND p.hour = h.hour AND d.tenant = t.id
        AND d.bucket >= h.hour AND d.bucket < h.hour + INTERVAL '1 hour'
    ) AS f
    WHERE f.value BETWEEN -1e100 AND 1e100
    ORDER BY f.series, f.ts, f.seq DESC
  ) AS m GROUP BY m.series
) AS u JOIN series s ON s.id = u.series
WHERE t.deleted_at IS NULL
GROUP BY 1, 2, 3, 4, 5, 6;

-- Empties the files of chunks of `frames` that were over at `before` and hold nothing any more: vacuum does not shrink an index.
-- Who reads one of them is not waited for; the next turn tries. How many.
CREATE FUNCTION give_back_frames(before timestamptz) RETURNS integer AS $$
DECLARE
  chunk record;
  holds boolean;
  emptied integer := 0;
BEGIN
  PERFORM set_config('lock_timeout', '100ms', true);
  FOR chunk IN
    SELECT format('%I.%I', c.chunk_schema, c.chunk_name)::regclass AS it FROM timescaledb_information.chunks c
    WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'frames' AND c.range_end <= before
  LOOP
    CONTINUE WHEN pg_relation_size(chunk.it) = 0;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', chunk.it) INTO holds;
    CONTINUE WHEN holds;
    BEGIN
      EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', chunk.it);
      EXECUTE format('SELECT EXISTS (SELECT FROM %s)', chunk.it) INTO holds;
      CONTINUE WHEN holds;
      EXECUTE format('TRUNCATE %s', chunk.it);
      emptied := emptied + 1;
    EXCEPTION WHEN lock_not_available THEN
      NULL;
    END;
  END LOOP;
  PERFORM set_config('lock_timeout', '0', true);
  RETURN emptied;
END
$$ LANGUAGE plpgsql;

-- Makes the chunks that follow those which hold `at`, of what samples are written to, unless they are there: a row makes one, and
-- goes again. Whether any was made.
CREATE FUNCTION make_chunks_ahead(at timestamptz) RETURNS boolean AS $$
DECLARE
  next_day constant timestamptz := date_trunc('day', at, 'UTC') + INTERVAL '1 day';
  made boolean := false;
BEGIN
  PERFORM set_config('ecpmon.packing', 'on', true);
  IF NOT EXISTS (SELECT FROM timescaledb_information.chunks c
                 WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'frames' AND c.range_start = next_day) THEN
    INSERT INTO frames (ts, tenant, series, samples) VALUES (next_day, 0, '{}', '{}');
    DELETE FROM frames WHERE tenant = 0 AND ts = next_day;
    made := true;
  END IF;
  IF NOT EXISTS (SELECT FROM timescaledb_information.chunks c
                 WHERE c.hypertable_schema = 'public' AND c.hypertable_name = 'pull_attempts' AND c.range_start = next_day) THEN
    INSERT INTO pull_attempts (ts, source, outcome, duration_ms) VALUES (next_day, '', 'ok', 0);
    DELETE FROM pull_attempts WHERE source = '' AND ts = next_day;
    made := true;
  END IF;
  PERFORM set_config('ecpmon.packing', 'off', true);
  RETURN made;
END
$$ LANGUAGE plpgsql;
