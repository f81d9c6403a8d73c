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

-- part: audit_fit
SELECT array(
         SELECT id FROM looked_at
         WHERE ($4::text IS NULL OR actor = $4) AND ($5::text IS NULL OR action = $5)
         ORDER BY at DESC, id DESC LIMIT $6) AS fit,
       last.at AS last_at, last.id AS last_id
FROM (SELECT) AS one
LEFT JOIN (SELECT at, id FROM looked_at ORDER BY at DESC, id DESC OFFSET $7 - 1 LIMIT 1) AS last ON true

-- name: look
-- Numbers of the newest $6 rows before ($1, $2), and not before $3, by $4 (actor) and $5 (action); NULL: by any. At most $7
-- rows are looked at; the last of so many, after which there may be more.
WITH looked_at AS MATERIALIZED (
  SELECT id, at, actor, action FROM audit_log WHERE (at, id) < ($1::timestamptz, $2::bigint) AND at >= $3
  ORDER BY at DESC, id DESC LIMIT $7
)
{audit_fit}

-- name: look_among
-- The same about the tenants $8 alone: a statement of its own, so that its plan reads nobody else's rows.
WITH looked_at AS MATERIALIZED (
  SELECT id, at, actor, action FROM audit_log
  WHERE tenant = ANY($8::bigint[]) AND (at, id) < ($1::timestamptz, $2::bigint) AND at >= $3
  ORDER BY at DESC, id DESC LIMIT $7
)
{audit_fit}

-- name: told
-- Of the rows $1 the newest, and the others as long as what was before and after is no more than $2 bytes in all.
SELECT * FROM (
  SELECT a.*, x.tenant_id AS name, row_number() OVER newest AS place,
         sum(coalesce(octet_length(a.before::text), 0) + coalesce(octet_length(a.after::text), 0)) OVER newest AS bytes
  FROM audit_log a LEFT JOIN tenants x ON x.id = a.tenant WHERE a.id = ANY($1::bigint[])
  WINDOW newest AS (ORDER BY a.at DESC, a.id DESC)
) AS rows WHERE place = 1 OR bytes <= $2 ORDER BY at DESC, id DESC
