-- name: expected
-- Which components of tenant $1 are expected at $2, and until when.
SELECT h.source, h.component, upper(r) AS until
FROM evidence_heard h CROSS JOIN LATERAL unnest(h.heard) AS r (r) WHERE h.tenant = $1 AND r @> $2::timestamptz

-- name: hear
-- Components $3 of the tenants $1, heard of by the sources $2, are expected from $4 to $5. By tenant, when somebody is who was
-- not before.
WITH said AS (
  SELECT tenant, source, component, range_agg(tstzrange(starts, ends)) AS heard
  FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
       AS x (tenant, source, component, starts, ends)
  GROUP BY 1, 2, 3
), stored AS (
  INSERT INTO evidence_heard (tenant, source, component, heard) SELECT * FROM said ORDER BY 1, 2, 3
  ON CONFLICT (tenant, source, component) DO UPDATE SET heard = evidence_heard.heard + excluded.heard
)
SELECT tenant, min(lower(fresh)) AS start, max(upper(fresh)) AS "end" FROM (
  SELECT s.tenant, s.heard - coalesce(h.heard, '{}') AS fresh
  FROM said s LEFT JOIN evidence_heard h USING (tenant, source, component)
) AS added WHERE NOT isempty(fresh) GROUP BY tenant

-- name: unhear
-- Samples of tenant $1 were taken back from $2 on, and somebody may be expected no more until $3: what its other samples say
-- stays, where the sources $4 are evidence without weights, from $5 to $6. When somebody was expected who is not now.
WITH left_over AS (
  SELECT source, component, range_agg(tstzrange(starts, hour + INTERVAL '25 hours')) AS heard FROM (
    SELECT s.data_source AS source, s.labels->>'service' AS component, date_trunc('hour', f.ts, 'UTC') AS hour,
           min(f.ts) AS starts
    FROM frames f CROSS JOIN LATERAL unnest(f.series) AS v (series) JOIN series s ON s.id = v.series
    JOIN unnest($4::text[], $5::timestamptz[], $6::timestamptz[]) AS r (source, starts, ends)
      ON r.source = s.data_source AND f.ts >= r.starts AND f.ts < r.ends
    WHERE f.tenant = $1 AND f.ts > $2::timestamptz - INTERVAL '25 hours' AND f.ts < $3
      AND s.metric_name IN ('up', 'error_rate') AND s.labels ? 'service' AND s.labels - 'service' = '{}'
    GROUP BY 1, 2, 3
  ) AS said GROUP BY 1, 2
), changed AS (
  SELECT h.source, h.component, h.heard AS was,
         h.heard - tstzmultirange(tstzrange($2, $3)) + h.heard * coalesce(l.heard, '{}') AS heard
  FROM evidence_heard h LEFT JOIN left_over l USING (source, component)
  WHERE h.tenant = $1 AND h.heard && tstzrange($2, $3)
), stored AS (
  UPDATE evidence_heard e SET heard = c.heard FROM changed c
  WHERE e.tenant = $1 AND e.source = c.source AND e.component = c.component AND e.heard <> c.heard
)
SELECT min(lower(was - heard)) AS start, max(upper(was - heard)) AS "end" FROM changed

-- name: unheard
-- Of the tenants $1 those of which a component $3 is not expected at $4, as heard of by the source $2.
SELECT DISTINCT x.tenant
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS x (tenant, source, component, ts)
WHERE NOT EXISTS (
  SELECT FROM evidence_heard h
  WHERE h.tenant = x.tenant AND h.source = x.source AND h.component = x.component AND h.heard @> x.ts)

-- name: stand
UPDATE availability_heads h SET says = x.says, noted = x.noted, voices = x.voices
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::jsonb[]) AS x (tenant, says, noted, voices)
WHERE h.tenant = x.tenant
