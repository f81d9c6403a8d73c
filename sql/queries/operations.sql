-- part: everybody
SELECT id, tenant_id, preset, status FROM tenants WHERE deleted_at IS NULL

-- part: some
SELECT id, tenant_id, preset, status FROM tenants WHERE id = ANY($2::bigint[]) AND deleted_at IS NULL

-- part: figures
-- At $1: tenants by preset and status; the SLA of 30 days as it was found last, the mean response times that are kept of the
-- same; deployments that were asked for within 30 days (of those that are over, how they ended; of the last day, which
-- failed); and what is used, by the rollups of the last minutes, each tenant as much as any other.
WITH seen AS MATERIALIZED ({whose})
SELECT p.by_preset, t.by_status, s.*, r.mean AS response_ms, d.*, u.usage,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()) AS connections
FROM (
  SELECT coalesce(jsonb_object_agg(preset, n), '{}') AS by_preset
  FROM (SELECT preset, count(*) AS n FROM seen GROUP BY preset) AS x
) AS p, (
  SELECT coalesce(jsonb_object_agg(status, n), '{}') AS by_status
  FROM (SELECT status, count(*) AS n FROM seen GROUP BY status) AS x
) AS t, (
  SELECT avg(c.availability) AS availability, count(c.availability) AS measured, min(c.as_of) AS as_of,
         count(*) FILTER (WHERE c.status = 'meeting') AS meeting, count(*) FILTER (WHERE c.status = 'at_risk') AS at_risk,
         count(*) FILTER (WHERE c.status = 'violated') AS violated
  FROM seen JOIN sla_current c ON c.tenant = seen.id AND c.window_name = '30d'
) AS s, (
  SELECT avg(r.mean) AS mean FROM seen JOIN response_times r ON r.tenant = seen.id
  WHERE r.as_of BETWEEN $1::timestamptz - INTERVAL '30 minutes' AND $1::timestamptz + INTERVAL '30 minutes'
) AS r, (
  SELECT count(*) FILTER (WHERE d.finished_at IS NULL) AS pending, count(d.finished_at) AS finished,
         count(*) FILTER (WHERE d.status = 'completed') AS completed,
         count(*) FILTER (WHERE d.status IN ('failed', 'rolled-back')
                            AND d.finished_at > $1::timestamptz - INTERVAL '24 hours') AS failed_lately
  FROM seen JOIN deployments d ON d.tenant = seen.id
  WHERE d.requested_at > $1::timestamptz - INTERVAL '30 days' AND d.requested_at <= $1::timestamptz
) AS d, (
  SELECT coalesce(jsonb_object_agg(metric_name, mean), '{}') AS usage FROM (
    SELECT metric_name, avg(mean) AS mean FROM (
      SELECT s.tenant, s.metric_name, sum(r.total[p.k]) / sum(coalesce(r.points[p.k], r.points[1])) AS mean
      FROM seen JOIN series s ON s.tenant = seen.id AND s.labels = '{}'
                             AND s.metric_name IN ('cpu_usage', 'memory_usage', 'gpu_usage')
      JOIN rollup_5m r ON r.tenant = s.tenant AND r.bucket > $1::timestamptz - INTERVAL '10 minutes' AND r.bucket <= $1::timestamptz
      CROSS JOIN LATERAL (SELECT array_position(r.series, s.id) AS k) AS p
      WHERE p.k IS NOT NULL
      GROUP BY s.tenant, s.metric_name
    ) AS of_tenant GROUP BY metric_name
  ) AS x
) AS u

-- part: lists
-- At $1: the newest deployments of a day; what fires, ours and Alertmanager's of 30 days, the worst first; of each kind the
-- first few, and how many there are.
WITH seen AS MATERIALIZED ({whose})
(
  SELECT 'deployment' AS kind, count(*) OVER () AS total, seen.tenant_id, d.deployment_id AS name, d.status,
         NULL AS severity, d.requested_at AS since, d.finished_at, d.method, d.requested_by, NULL::float8 AS value
  FROM seen JOIN deployments d ON d.tenant = seen.id
  WHERE d.requested_at > $1::timestamptz - INTERVAL '24 hours' AND d.requested_at <= $1::timestamptz
  ORDER BY d.requested_at DESC, d.seq DESC LIMIT 20
) UNION ALL (
  SELECT 'ecpmon', count(*) OVER (), seen.tenant_id, r.alert_name, s.status,
         r.severity, s.since, NULL, s.alert_id::text, NULL, s.value
  FROM alert_states s JOIN alert_rules r USING (rule_id) JOIN seen ON seen.id = r.tenant
  WHERE s.status = 'firing'
  ORDER BY array_position(ARRAY['page', 'critical', 'ticket', 'warning'], r.severity), s.since DESC LIMIT 50
) UNION ALL (
  SELECT 'alertmanager', count(*) OVER (), seen.tenant_id, x.alert_name, x.status,
         x.severity, x.starts_at, NULL, x.fingerprint, NULL, NULL
  FROM seen JOIN external_alerts x ON x.tenant = seen.id
  WHERE x.status = 'firing' AND x.received_at > $1::timestamptz - INTERVAL '30 days'
    AND (x.ends_at IS NULL OR x.ends_at > $1::timestamptz)
    AND NOT EXISTS (SELECT FROM external_alerts o WHERE o.tenant = x.tenant AND o.fingerprint = x.fingerprint
                      AND o.starts_at = x.starts_at AND o.status = 'resolved')
  ORDER BY array_position(ARRAY['page', 'critical', 'ticket', 'warning'], x.severity), x.starts_at DESC LIMIT 50
)

-- name: figures
{figures whose=everybody}

-- name: figures_among
-- The same of the tenants $2 alone: a statement of its own, so that its plan reads no others.
{figures whose=some}

-- name: lists
{lists whose=everybody}

-- name: lists_among
{lists whose=some}
