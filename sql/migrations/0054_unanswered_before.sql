-- Rollups of the last days in which something was unanswered are made once more, with what is apart now (0048_unanswered.sql).
-- Of what is older there are no samples.
INSERT INTO rollup_dirty (tenant, bucket)
SELECT DISTINCT s.tenant, r.bucket
FROM series s JOIN tenants t ON t.id = s.tenant JOIN rollup_5m r ON r.series = s.id
WHERE t.deleted_at IS NULL AND s.metric_name IN ('up', 'error_rate') AND s.labels = '{}'
  AND r.bucket >= CURRENT_TIMESTAMP - (SELECT raw_retention FROM input_bounds)
  AND CASE s.metric_name WHEN 'up' THEN r.low <= 0 ELSE r.high >= 1 END
  AND EXISTS (SELECT FROM series o WHERE o.tenant = s.tenant AND o.metric_name = 'response_time')
ON CONFLICT (tenant, bucket) DO NOTHING;
