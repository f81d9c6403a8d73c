-- name: insert
INSERT INTO audit_log (at, actor, token, address, request_id, issuer, tenant, action, subject, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: insert_many
-- The same about each of several tenants.
INSERT INTO audit_log (at, actor, token, address, request_id, issuer, tenant, action, subject, before, after)
SELECT $1, $2, $3, $4, $5, $6, x.tenant, $8, x.subject, $10, $11
FROM unnest($7::bigint[], $9::text[]) AS x (tenant, subject)

-- name: allow
-- Until the transaction ends rows from before $1 may be taken away.
SELECT set_config('ecpmon.audit_until', $1::timestamptz::text, true)

-- name: forget
DELETE FROM audit_log WHERE at < $1
