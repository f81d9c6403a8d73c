-- name: insert
INSERT INTO audit_log (at, actor, token, address, request_id, tenant, action, subject, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)

-- name: insert_many
-- The same about each of several tenants.
INSERT INTO audit_log (at, actor, token, address, request_id, tenant, action, subject, before, after)
SELECT $1, $2, $3, $4, $5, x.tenant, $7, x.subject, $9, $10
FROM unnest($6::bigint[], $8::text[]) AS x (tenant, subject)

-- name: allow
-- Until the transaction ends rows from before $1 may be taken away.
SELECT set_config('ecpmon.audit_until', $1::timestamptz::text, true)

-- name: forget
DELETE FROM audit_log WHERE at < $1
