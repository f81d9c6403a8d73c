-- Of whom is asked, before it is looked for hours that are put together: not of everybody whose present hour is.
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
    SELECT DISTINCT ON (v.series, f.ts) v.series, v.value
    FROM rollup_dirty d
    JOIN frames f ON f.tenant = d.tenant AND f.ts >= d.bucket AND f.ts < d.bucket + INTERVAL '5 minutes'
    CROSS JOIN LATERAL unnest(f.series, f.samples) AS v (series, value)
    WHERE d.tenant = t.id AND d.bucket >= h.hour AND d.bucket < h.hour + INTERVAL '1 hour'
      AND f.ts >= h.hour AND f.ts < h.hour + INTERVAL '1 hour' AND v.value BETWEEN -1e100 AND 1e100
    ORDER BY v.series, f.ts, f.seq DESC
  ) AS m GROUP BY m.series
) AS u JOIN series s ON s.id = u.series
WHERE t.deleted_at IS NULL
GROUP BY 1, 2, 3, 4, 5, 6;
