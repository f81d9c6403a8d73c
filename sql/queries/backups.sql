-- Backups of a whole database, and what tells whether two databases hold the same. Of the installation, not of a tenant.
-- name: about
SELECT current_database() AS database, current_setting('server_version_num')::int / 10000 AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale,
       transaction_timestamp() AS taken_at, pg_export_snapshot() AS snapshot

-- name: relations
-- Tables that hold something of their own, as SQL names them: not the chunks of hypertables, which are read with these.
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^(pg_|information_schema$|_?timescaledb)'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1

-- name: views
SELECT format('%I.%I', n.nspname, c.relname) AS name, md5(pg_get_viewdef(c.oid)) AS text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'v' AND n.nspname !~ '^(pg_|information_schema$|_?timescaledb)'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1

-- name: grantees
-- Roles that were given something here: their names stand in a dump, and have to be there when it is restored.
SELECT DISTINCT r.rolname AS name FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'a' AND r.rolname !~ '^pg_'
ORDER BY 1

-- name: note
WITH old AS (DELETE FROM backups WHERE taken_at < $1::timestamptz - INTERVAL '400 days')
INSERT INTO backups (file, taken_at, ended_at, bytes, sha256, verified) VALUES ($2, $1, $3, $4, $5, $6)

-- name: last_good
SELECT max(taken_at) FROM backups WHERE verified
