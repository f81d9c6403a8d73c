-- Which chunks a statement needs is found when it is planned; the others are neither planned for nor locked. Where hours come
-- out of the statement itself (its open buckets, the marks of a job), none can be left out. So whoever asks for several says
-- between which two instants they all lie, which is known before.

-- `samples_of`, of what lies between `earliest` and `latest` as well.
CREATE FUNCTION samples_within(whose bigint, since timestamptz, until timestamptz, earliest timestamptz, latest timestamptz)
RETURNS TABLE (ts timestamptz, seq bigint, series integer, value double precision) AS $$
  SELECT f.ts, f.seq, v.series, v.value
  FROM frames f CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
  WHERE f.tenant = whose AND f.ts >= since AND f.ts < until AND f.ts >= earliest AND f.ts < latest
  UNION ALL
  SELECT p.ts, 0::bigint, p.series, p.value FROM packed.samples p
  WHERE p.tenant = whose AND p.hour > since - INTERVAL '1 hour' AND p.hour < until AND p.ts >= since AND p.ts < until
    AND p.hour > earliest - INTERVAL '1 hour' AND p.hour < latest AND p.ts >= earliest AND p.ts < latest
$$ LANGUAGE sql STABLE;

-- `newest_frames` after `earliest` as well.
CREATE FUNCTION newest_within(whose bigint, since timestamptz, until timestamptz, most bigint, earliest timestamptz)
RETURNS TABLE (ts timestamptz, seq bigint, series integer[], samples double precision[]) AS $$
  SELECT * FROM (
    (SELECT f.ts, f.seq, f.series, f.samples FROM frames f
     WHERE f.tenant = whose AND f.ts > since AND f.ts <= until AND f.ts > earliest ORDER BY f.ts DESC, f.seq DESC LIMIT most)
    UNION ALL
    SELECT u.ts, 0::bigint, u.series, u.samples
    FROM (SELECT q.hour, q.part FROM packed_hours q
          WHERE q.tenant = whose AND q.hour > since - INTERVAL '1 hour' AND q.hour <= until
            AND q.hour > earliest - INTERVAL '1 hour'
          ORDER BY q.hour DESC LIMIT 40) AS h
    CROSS JOIN LATERAL (
      SELECT x.ts, array_agg(x.series) AS series, array_agg(x.value) AS samples
      FROM packed.samples x
      WHERE x.tenant = whose AND x.hour = h.hour AND x.part = h.part AND x.ts > since AND x.ts <= until
        AND x.hour > earliest - INTERVAL '1 hour' AND x.hour <= until AND x.ts > earliest GROUP BY x.ts
    ) AS u
  ) AS found ORDER BY ts DESC, seq DESC LIMIT most
$$ LANGUAGE sql STABLE;
CREATE OR REPLACE FUNCTION newest_frames(whose bigint, since timestamptz, until timestamptz, most bigint)
RETURNS TABLE (ts timestamptz, seq bigint, series integer[], samples double precision[]) AS $$
  SELECT ts, seq, series, samples FROM newest_within(whose, since, until, most, since)
$$ LANGUAGE sql STABLE;
