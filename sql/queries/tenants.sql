-- name: insert
INSERT INTO tenants (tenant_id, name, preset, is_demo, status, service_requirements, resources, sla_target,
                     cpu_limit, memory_limit, gpu_limit, storage_limit, gpu_type, description, sli_source,
                     push_interval_seconds, push_mode, time_zone, maintenance_accounting, component_weights, language, credits,
                     hours, labels, exclusion_rules, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'pending', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $25)
RETURNING id

-- name: by_name
SELECT {tenant_columns} FROM tenants WHERE tenant_id = $1 AND deleted_at IS NULL

-- name: by_name_with_deleted
-- $2: numbers of the tenants that may be it, NULL for all
SELECT {tenant_columns} FROM tenants WHERE tenant_id = $1 AND ($2::bigint[] IS NULL OR id = ANY($2))
ORDER BY deleted_at DESC NULLS FIRST LIMIT 1

-- name: grant
-- To the token that created the tenant.
INSERT INTO token_grants (token, tenant) VALUES ($1, $2)

-- name: live_after
-- A part of all, by number.
SELECT {tenant_columns} FROM tenants WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2

-- name: by_names
SELECT {tenant_columns} FROM tenants WHERE tenant_id = ANY($1::text[]) AND deleted_at IS NULL

-- name: counts
-- $1 preset or NULL, $2 status or NULL
SELECT count(*) AS total, count(*) FILTER (WHERE is_demo) AS demo,
       count(*) FILTER (WHERE status IN ('running', 'degraded')) AS active
FROM tenants
WHERE deleted_at IS NULL AND ($1::text IS NULL OR preset = $1) AND ($2::text IS NULL OR status = $2)

-- name: counts_among
-- The same of the numbers $3 alone: a statement of its own, so that its plan reads no others.
SELECT count(*) AS total, count(*) FILTER (WHERE is_demo) AS demo,
       count(*) FILTER (WHERE status IN ('running', 'degraded')) AS active
FROM tenants
WHERE id = ANY($3::bigint[])
  AND deleted_at IS NULL AND ($1::text IS NULL OR preset = $1) AND ($2::text IS NULL OR status = $2)

-- name: page
-- $1 preset or NULL, $2 status or NULL
SELECT {tenant_columns} FROM tenants
WHERE deleted_at IS NULL AND ($1::text IS NULL OR preset = $1) AND ($2::text IS NULL OR status = $2)
ORDER BY id
OFFSET $3 LIMIT $4

-- name: page_among
-- The same of the numbers $5 alone.
SELECT {tenant_columns} FROM tenants
WHERE id = ANY($5::bigint[])
  AND deleted_at IS NULL AND ($1::text IS NULL OR preset = $1) AND ($2::text IS NULL OR status = $2)
ORDER BY id
OFFSET $3 LIMIT $4

-- name: live_among
SELECT id FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL

-- name: names_of
SELECT id, tenant_id FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL

-- name: meant
-- Of each of the names $1 the first tenant that has borne it since $2.
SELECT DISTINCT ON (tenant_id) id, tenant_id, deleted_at IS NULL AS live FROM tenants
WHERE tenant_id = ANY($1::text[]) AND (deleted_at IS NULL OR deleted_at > $2::timestamptz)
ORDER BY tenant_id, id

-- name: numbers
SELECT id, tenant_id FROM tenants WHERE deleted_at IS NULL

-- name: live_of_numbers
SELECT {tenant_columns} FROM tenants WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id

-- name: live
SELECT {tenant_columns} FROM tenants WHERE deleted_at IS NULL ORDER BY id

-- name: deleted_since
SELECT {tenant_columns} FROM tenants WHERE deleted_at >= $1 ORDER BY id

-- name: mark_deleted
UPDATE tenants SET deleted_at = $2, updated_at = $2, status = 'deleting'
WHERE id = $1 AND deleted_at IS NULL RETURNING id

-- name: set_deployed
-- $5: what of the tenant was deployed, so that a later change can be compared with it.
UPDATE tenants
SET deployed_to = $2, status = $3, status_reason = $6, deployed_spec = CASE WHEN $2::text IS NULL THEN NULL ELSE $5::jsonb END,
    updated_at = greatest($4::timestamptz, updated_at + INTERVAL '1 microsecond')
WHERE id = $1 RETURNING {tenant_columns}

-- name: set_status
UPDATE tenants SET status = $2, status_reason = $3 WHERE id = $1 AND deleted_at IS NULL

-- name: tell_apart
-- At $1, for the job, all live tenants that run: who is measured down is degraded, who is measured up is not. Of whom
-- nothing is known nothing is said.
WITH seen AS (
  SELECT t.id, CASE h.state WHEN 'down' THEN 'degraded' ELSE 'running' END AS status,
         CASE h.state WHEN 'down' THEN 'measured down since '
           || to_char(h.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') ELSE '' END AS reason
  FROM tenants t JOIN availability_heads h ON h.tenant = t.id AND h.state IN ('up', 'down')
  WHERE t.deleted_at IS NULL AND t.status = CASE h.state WHEN 'down' THEN 'running' ELSE 'degraded' END
    AND h.last_observed_at + h.holds > $1
  ORDER BY t.id FOR UPDATE OF t SKIP LOCKED
)
UPDATE tenants t SET status = seen.status, status_reason = seen.reason FROM seen WHERE t.id = seen.id
RETURNING t.tenant_id

-- name: add_regime
-- The component weights are those that the tenant has now.
INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
SELECT id, $2, $3, $4, component_weights, $5 FROM tenants WHERE id = $1
ON CONFLICT (tenant, valid_from) DO UPDATE
SET source = excluded.source, holds = excluded.holds, weights = excluded.weights, age = excluded.age

-- name: interval_changes
-- From $1 on, for all live tenants that are judged by what is pulled from $2: how long it holds, and how old it may be.
INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
SELECT r.tenant, $1, r.source, $3, r.weights, $4
FROM tenants t CROSS JOIN LATERAL (
  SELECT * FROM evidence_regimes e WHERE e.tenant = t.id ORDER BY e.valid_from DESC LIMIT 1
) AS r
WHERE t.deleted_at IS NULL AND r.source = $2 AND (r.holds, r.age) IS DISTINCT FROM ($3::interval, $4::interval)
  AND r.valid_from < $1
ON CONFLICT DO NOTHING
RETURNING tenant

-- name: push_mode_changes
-- From $2 on, for a tenant whose evidence is what it pushes. The mode is the one that the tenant has now.
INSERT INTO evidence_regimes (tenant, valid_from, source, holds, weights, age)
SELECT r.tenant, $2, r.source, r.holds, r.weights, CASE t.push_mode WHEN 'samples' THEN INTERVAL '0' END
FROM (SELECT * FROM evidence_regimes WHERE tenant = $1 ORDER BY valid_from DESC LIMIT 1) AS r
JOIN tenants t ON t.id = r.tenant
WHERE r.source = 'push'
ON CONFLICT (tenant, valid_from) DO UPDATE SET age = excluded.age

-- name: latest_regime
SELECT source, holds, age FROM evidence_regimes WHERE tenant = $1 ORDER BY valid_from DESC LIMIT 1

-- name: insert_deployment
INSERT INTO deployments (deployment_id, tenant, method, status, message, created_at, finished_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: update
-- $2 is `updated_at` as it was read: nothing when somebody else was faster. It always moves on.
UPDATE tenants
SET name = $3, description = $4, preset = $5, service_requirements = $6, resources = $7, sla_target = $8,
    cpu_limit = $9, memory_limit = $10, gpu_limit = $11, storage_limit = $12, gpu_type = $13, service_resources = $14,
    push_mode = $15, language = $16, time_zone = $17, maintenance_accounting = $18, credits = $19, hours = $20,
    labels = $21, exclusion_rules = $22, sli_source = $23,
    updated_at = greatest($24::timestamptz, updated_at + INTERVAL '1 microsecond')
WHERE id = $1 AND updated_at = $2 AND deleted_at IS NULL
RETURNING id

-- name: by_number
-- The one that was made or changed just now, with the version of its contract that came of it.
SELECT {tenant_columns} FROM tenants WHERE id = $1

-- name: actor
-- Who changes what is changed until the end of the transaction.
SELECT set_config('ecpmon.actor', $1, true)

-- name: contract_at
-- The newest version that was known at $2, whatever took its place later.
SELECT * FROM contract_versions
WHERE tenant = $1 AND (least(created_at, valid_from) <= $2 OR version = 1)
ORDER BY version DESC LIMIT 1

-- name: contract_versions
-- The newest $2, also those that were replaced before they took effect.
SELECT * FROM contract_versions WHERE tenant = $1 ORDER BY version DESC LIMIT $2
