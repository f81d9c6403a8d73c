-- name: chosen
-- Of live tenants that ever had a profile, each choice and until when it holds.
SELECT t.tenant_id, p.valid_from, lead(p.valid_from) OVER (PARTITION BY p.tenant ORDER BY p.valid_from) AS valid_to, p.selection
FROM evidence_profiles p JOIN tenants t ON t.id = p.tenant WHERE t.deleted_at IS NULL
ORDER BY t.tenant_id, p.valid_from

-- name: of_tenant
SELECT valid_from, lead(valid_from) OVER (ORDER BY valid_from) AS valid_to, selection FROM evidence_profiles
WHERE tenant = $1 ORDER BY valid_from DESC LIMIT 100

-- name: choose
-- Two choices within one moment are the later one.
INSERT INTO evidence_profiles (tenant, valid_from, selection)
VALUES ($1, greatest($2::timestamptz, (SELECT max(valid_from) FROM evidence_profiles WHERE tenant = $1)), $3)
ON CONFLICT (tenant, valid_from) DO UPDATE SET selection = excluded.selection
