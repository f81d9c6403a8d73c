-- name: request
-- The tenant is deploying from now on.
WITH asked AS (
  INSERT INTO deployments (deployment_id, tenant, method, status, message, created_at, requested_at, requested_by,
                           forced_because, options, heartbeat_at, preset, tenant_before)
  SELECT $1, $2, $3, 'pending', 'waiting for its turn', $4, $4, $5, $6, $7, $8, preset, status FROM tenants WHERE id = $2
  RETURNING tenant
)
UPDATE tenants t SET status = 'deploying', status_reason = '' FROM asked WHERE t.id = asked.tenant

-- name: advance
-- $5: a log line or NULL; $6: objects or NULL for as before. Only the newest 200 log lines are kept.
-- $8: which try says so; a try that another process has taken over has nothing to say any more.
-- $10: what ran before does not run any more. A deployment that did not come about leaves its tenant as it was, unless that
-- was never deployed; of one that did, the tenant's row is told by `set_deployed`.
WITH told AS (
  UPDATE deployments
  SET status = $2, progress = greatest(progress, $3), message = $4, heartbeat_at = $7,
      logs = CASE WHEN $5::jsonb IS NULL THEN logs
             WHEN jsonb_array_length(logs) >= 200 THEN (logs - 0) || $5::jsonb ELSE logs || $5::jsonb END,
      objects = coalesce($6::jsonb, objects),
      finished_at = CASE WHEN $2 IN ('completed', 'failed', 'rolled-back') THEN greatest($7, created_at) END,
      before = CASE WHEN $2 IN ('completed', 'failed', 'rolled-back') THEN NULL ELSE before END
  WHERE deployment_id = $1 AND finished_at IS NULL AND tries = $8 AND tenant = $9
  RETURNING deployment_id, tenant, tenant_before, status, message
), ended AS (
  UPDATE tenants t
  SET status = CASE WHEN $10 OR t.deployed_to IS NULL THEN 'failed' ELSE coalesce(told.tenant_before, 'failed') END,
      status_reason = told.message
  FROM told WHERE t.id = told.tenant AND told.status IN ('failed', 'rolled-back') AND t.deleted_at IS NULL
)
SELECT deployment_id FROM told

-- name: beat
UPDATE deployments SET heartbeat_at = $2
WHERE deployment_id = $1 AND finished_at IS NULL AND tries = $3 AND tenant = $4

-- name: remember
-- The first try's word counts: later ones see what it has changed already.
UPDATE deployments SET before = coalesce(before, $3::jsonb)
WHERE deployment_id = $1 AND finished_at IS NULL AND tries = $2 AND tenant = $4
RETURNING before

-- name: take_over
-- Deployments whose process has been silent since $1; each is taken by one process. For the job: all tenants. One that
-- nobody has begun yet has a first try.
UPDATE deployments d SET heartbeat_at = $2, tries = tries + (heartbeat_at > '1970-01-01T00:00:00Z')::integer
FROM tenants t
WHERE t.id = d.tenant AND d.deployment_id IN (
  SELECT deployment_id FROM deployments
  WHERE requested_at IS NOT NULL AND finished_at IS NULL AND heartbeat_at < $1
  FOR UPDATE SKIP LOCKED LIMIT 20)
RETURNING d.*, t.tenant_id

-- name: one
-- $2: numbers of the tenants whose it may be, NULL for all
SELECT d.*, t.tenant_id FROM deployments d JOIN tenants t ON t.id = d.tenant
WHERE d.deployment_id = $1 AND ($2::bigint[] IS NULL OR d.tenant = ANY($2))

-- name: of_tenant
SELECT d.*, t.tenant_id FROM deployments d JOIN tenants t ON t.id = d.tenant
WHERE d.tenant = $1 ORDER BY d.seq DESC LIMIT $2

-- name: insert_finished
-- A deployment that was made somewhere else, by a CI pipeline. Of those the newest $9 of the tenant are kept, and the
-- first that completed; $8: how their ids begin. The new row is not seen here yet.
WITH earliest AS (
  SELECT seq FROM deployments WHERE tenant = $2 AND status = 'completed' ORDER BY finished_at, seq LIMIT 1
), newest AS (
  SELECT seq FROM deployments WHERE tenant = $2 AND starts_with(deployment_id, $8)
  ORDER BY seq DESC OFFSET $9::int - 1 LIMIT 1
), forgotten AS (
  DELETE FROM deployments
  WHERE tenant = $2 AND starts_with(deployment_id, $8) AND seq <= (SELECT seq FROM newest)
    AND seq IS DISTINCT FROM (SELECT seq FROM earliest)
)
INSERT INTO deployments (deployment_id, tenant, method, status, message, created_at, requested_at, requested_by,
                         progress, heartbeat_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $6, $7, 100, $6, $6)

-- name: first_completed
SELECT min(finished_at) FROM deployments WHERE tenant = $1 AND status = 'completed'

-- name: durations
-- For gauges: of every live tenant, by the preset that it had, how many deployments that were asked of us took longer than so
-- many of the bounds $1, and no longer than the next; and their seconds.
SELECT t.tenant_id, d.preset, p.place, count(*) AS count, sum(p.seconds) AS seconds
FROM deployments d JOIN tenants t ON t.id = d.tenant AND t.deleted_at IS NULL
CROSS JOIN LATERAL (
  SELECT took.seconds, (SELECT count(*) FROM unnest($1::float8[]) AS b (bound) WHERE b.bound < took.seconds)::int AS place
  FROM (SELECT date_part('epoch', d.finished_at - d.requested_at) AS seconds) AS took
) AS p
WHERE d.status = 'completed' AND d.preset IS NOT NULL
GROUP BY 1, 2, 3

-- name: places
-- $2: how the ids of those begin that somebody else made.
SELECT DISTINCT method FROM deployments
WHERE tenant = $1 AND requested_at IS NOT NULL AND NOT starts_with(deployment_id, $2)

-- name: running
SELECT d.*, t.tenant_id FROM deployments d JOIN tenants t ON t.id = d.tenant
WHERE d.tenant = $1 AND d.requested_at IS NOT NULL AND d.finished_at IS NULL

-- name: first_asked
-- What became of a tenant that had a row before anybody deployed it: its first deployment.
SELECT d.*, t.tenant_id FROM deployments d JOIN tenants t ON t.id = d.tenant
WHERE d.tenant = $1 AND d.requested_at IS NOT NULL ORDER BY d.seq LIMIT 1

-- name: typical_seconds
-- How long the newest 20 deployments of a tenant by a method took that completed; NULL when there are none.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) FROM (
  SELECT date_part('epoch', finished_at - requested_at) AS seconds FROM deployments
  WHERE tenant = $1 AND method = $2 AND status = 'completed' AND NOT starts_with(deployment_id, $3)
  ORDER BY seq DESC LIMIT 20
) AS x
