-- name: all
SELECT tenant_id, deployed_at IS NOT NULL AS deployed FROM demo_seeds

-- name: made
INSERT INTO demo_seeds (tenant_id, made_at) VALUES ($1, $2) ON CONFLICT DO NOTHING

-- name: deployed
UPDATE demo_seeds SET deployed_at = $2 WHERE tenant_id = $1 AND deployed_at IS NULL
