-- name: expected
-- Which voices of tenant $1 are expected at $2, and until when.
SELECT h.source, h.metric, h.component, upper(r) AS until
FROM evidence_heard h CROSS JOIN LATERAL unnest(h.heard) AS r (r) WHERE h.tenant = $1 AND r @> $2::timestamptz

-- name: hear
-- Voices (metrics $3 of components $4) of the tenants $1, heard of by the sources $2, are expected from $5 to $6. By tenant,
-- when one is that was not before; not where it is the only one that was ever heard.
WITH said AS (
  SELECT tenant, source, metric, component, range_agg(tstzrange(starts, ends)) AS heard
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
       AS x (tenant, source, metric, component, starts, ends)
  GROUP BY 1, 2, 3, 4
), stored AS (
  INSERT INTO evidence_heard (tenant, source, metric, component, heard) SELECT * FROM said ORDER BY 1, 2, 3, 4
  ON CONFLICT (tenant, source, metric, component) DO UPDATE SET heard = evidence_heard.heard + excluded.heard
)
SELECT tenant, min(lower(fresh)) AS start, max(upper(fresh)) AS "end" FROM (
  SELECT s.*, s.heard - coalesce(h.heard, '{}') AS fresh
  FROM said s LEFT JOIN evidence_heard h USING (tenant, source, metric, component)
) AS added
WHERE NOT isempty(fresh)
  AND (EXISTS (SELECT FROM evidence_heard o WHERE o.tenant = added.tenant AND o.source = added.source
                 AND (o.metric, o.component) <> (added.metric, added.component))
       OR EXISTS (SELECT FROM said o WHERE o.tenant = added.tenant AND o.source = added.source
                    AND (o.metric, o.component) <> (added.metric, added.component)))
GROUP BY tenant

-- name: cut
-- Voices (metrics $3 of components $4) of the tenants $1, heard of by the sources $2, are over from $5 on; nothing was said
-- after that.
UPDATE evidence_heard h SET heard = h.heard - tstzmultirange(tstzrange(x.over, NULL))
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS x (tenant, source, metric, component, over)
WHERE (h.tenant, h.source, h.metric, h.component) = (x.tenant, x.source, x.metric, x.component)

-- name: knows_ends
SELECT EXISTS (SELECT {ended tenant=$1})

-- part: ended
-- That a voice of {tenant} was ever over.
FROM series e WHERE e.tenant = {tenant} AND e.data_source IN ('push', 'prometheus', 'simulator')
  AND e.metric_type = 'custom' AND e.metric_name IN ('up_over', 'error_rate_over')

-- part: said_again
-- What the samples of tenant $1 from {since} to $3 say of who is expected, where the sources $4 are evidence, from $5 to $6,
-- with the weights $7 (NULL: all components count), and the error rate counts as well ($8). Of a value and an end of one
-- instant the value counts; `part`: how often a voice was over before.
said AS (
  SELECT s.data_source AS source, replace(s.metric_name, '_over', '') AS metric, coalesce(s.labels->>'service', '') AS component,
         f.ts, bool_and(s.metric_name LIKE '%\_over') AS over
  FROM samples_of($1, {since}, $3) f JOIN series s ON s.id = f.series
  JOIN unnest($4::text[], $5::timestamptz[], $6::timestamptz[], $7::jsonb[], $8::boolean[])
       AS r (source, starts, ends, weights, errors)
    ON r.source = s.data_source AND f.ts >= r.starts AND f.ts < r.ends
       AND (r.weights IS NULL OR r.weights ? coalesce(s.labels->>'service', ''))
       AND (r.errors OR s.metric_name IN ('up', 'up_over'))
  WHERE s.metric_name IN ('up', 'error_rate', 'up_over', 'error_rate_over') AND s.labels - 'service' = '{}'
  GROUP BY 1, 2, 3, 4
), parts AS (
  SELECT said.*, count(*) FILTER (WHERE over) OVER (PARTITION BY source, metric, component ORDER BY ts) AS part FROM said
), left_over AS (
  SELECT source, metric, component,
         range_agg(tstzrange(v.starts, least(v.hour + INTERVAL '25 hours', o.ts))) AS heard
  FROM (
    SELECT source, metric, component, part, date_trunc('hour', ts, 'UTC') AS hour, min(ts) AS starts
    FROM parts WHERE NOT over GROUP BY 1, 2, 3, 4, 5
  ) AS v
  LEFT JOIN (SELECT source, metric, component, part - 1 AS part, ts FROM parts WHERE over) AS o
    USING (source, metric, component, part)
  GROUP BY 1, 2, 3
)

-- name: unhear
-- Samples were taken back from $2 on, and a voice may be expected no more until $3: what its other samples say stays (from
-- $9 on). When a voice was expected that is not now. $10: all that they say, as voices may be over.
WITH {said_again since=$9}, changed AS (
  SELECT h.source, h.metric, h.component, h.heard AS was,
         h.heard - tstzmultirange(tstzrange($2, $3))
         + coalesce(l.heard, '{}') * CASE WHEN $10 THEN tstzmultirange(tstzrange($2, $3)) ELSE h.heard END AS heard
  FROM evidence_heard h LEFT JOIN left_over l USING (source, metric, component)
  WHERE h.tenant = $1 AND h.heard && tstzrange($2, $3)
), stored AS (
  UPDATE evidence_heard e SET heard = c.heard FROM changed c
  WHERE e.tenant = $1 AND e.source = c.source AND e.metric = c.metric AND e.component = c.component AND e.heard <> c.heard
)
SELECT min(lower(was - heard)) AS start, max(upper(was - heard)) AS "end" FROM changed

-- name: rehear
-- Voices that are over between $2 and $3: from the first time on, what samples after it say.
WITH {said_again since=$2}, ended AS (
  SELECT source, metric, component, min(ts) AS first FROM parts WHERE over GROUP BY 1, 2, 3
)
UPDATE evidence_heard h SET heard = h.heard - tstzmultirange(tstzrange(e.first, $3)) + coalesce(l.heard, '{}')
FROM ended e LEFT JOIN left_over l USING (source, metric, component)
WHERE h.tenant = $1 AND (h.source, h.metric, h.component) = (e.source, e.metric, e.component)

-- name: unheard
-- Of the tenants $1 those of which a voice (metric $3 of component $4) is not expected at $5, as heard of by the source $2,
-- and is not the only one; and those of which voices are over.
WITH asked AS (
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
                AS x (tenant, source, metric, component, ts)
)
SELECT DISTINCT x.tenant FROM asked x
WHERE EXISTS (SELECT {ended tenant=x.tenant})
  OR NOT EXISTS (
    SELECT FROM evidence_heard h
    WHERE h.tenant = x.tenant AND h.source = x.source AND h.metric = x.metric AND h.component = x.component
      AND h.heard @> x.ts)
  AND (EXISTS (SELECT FROM evidence_heard o WHERE o.tenant = x.tenant AND o.source = x.source
                 AND (o.metric, o.component) <> (x.metric, x.component))
       OR EXISTS (SELECT FROM asked o WHERE o.tenant = x.tenant AND o.source = x.source
                    AND (o.metric, o.component) <> (x.metric, x.component)))

-- name: forget_heard
-- When a voice was expected and not after $1 any more; of what is expected later that stretch stays whole.
WITH old AS MATERIALIZED (
  SELECT tenant, source, metric, component,
         (SELECT coalesce(range_agg(r), '{}') FROM unnest(heard) AS r WHERE upper(r) > $1) AS left_over
  FROM evidence_heard WHERE lower(heard) < $1 ORDER BY tenant, source, metric, component FOR UPDATE
), gone AS (
  DELETE FROM evidence_heard h USING old o
  WHERE (h.tenant, h.source, h.metric, h.component) = (o.tenant, o.source, o.metric, o.component) AND isempty(o.left_over)
)
UPDATE evidence_heard h SET heard = o.left_over FROM old o
WHERE (h.tenant, h.source, h.metric, h.component) = (o.tenant, o.source, o.metric, o.component)
  AND NOT isempty(o.left_over) AND h.heard <> o.left_over

-- name: stand
UPDATE availability_heads h SET says = x.says, noted = x.noted, voices = x.voices
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::jsonb[]) AS x (tenant, says, noted, voices)
WHERE h.tenant = x.tenant
