-- name: tenant
-- The live tenant of the name $1 among the numbers $2 (NULL: all), the snapshot that it is read by, whether it plans
-- anything.
SELECT {tenant_columns}, pg_current_snapshot()::text AS seen,
       EXISTS (SELECT FROM maintenance m WHERE m.tenant = tenants.id AND m.removed_at IS NULL) AS plans
FROM tenants
WHERE tenant_id = $1 AND deleted_at IS NULL AND ($2::bigint[] IS NULL OR id = ANY($2))

-- name: maintenance
SELECT * FROM maintenance WHERE tenant = $1 AND removed_at IS NULL ORDER BY starts_at, maintenance_id

-- name: facts
-- As `fast_windows.marks` of the live tenant $1 at the instants $2 up to $3; the first row also tells its statuses, its
-- days kept by the minute from $5 to $6, and whether it was changed since the snapshot $4. All of one instant.
{mark_head present=$3::timestamptz}
SELECT {mark_columns},
       CASE WHEN i.place = 1 THEN
         NOT EXISTS (SELECT FROM tenants WHERE id = $1 AND deleted_at IS NULL)
         -- A database that was set back to an earlier day.
         OR pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmax($4::text::pg_snapshot)
         OR EXISTS (SELECT FROM tenant_changes
                    WHERE tenant = $1 AND NOT pg_visible_in_snapshot(xid, $4::text::pg_snapshot))
       END AS changed,
       CASE WHEN i.place = 1 THEN ARRAY(SELECT window_name FROM sla_current WHERE tenant = $1 ORDER BY window_name) END AS names,
       CASE WHEN i.place = 1 THEN ARRAY(SELECT status FROM sla_current WHERE tenant = $1 ORDER BY window_name) END AS statuses,
       CASE WHEN i.place = 1 THEN
         ARRAY(SELECT day FROM coarse_days WHERE tenant = $1 AND day >= $5 AND day <= $6 ORDER BY day)
       END AS days
{mark_rows}
ORDER BY i.place
