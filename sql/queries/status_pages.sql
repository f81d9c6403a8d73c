-- name: public_names
-- In one value: there may be thousands, and anybody may ask.
SELECT coalesce(string_agg(t.tenant_id, ' '), '') FROM status_pages p JOIN tenants t ON t.id = p.tenant
WHERE p.public AND t.deleted_at IS NULL

-- name: of_tenant
SELECT public, changed_at, changed_by FROM status_pages WHERE tenant = $1

-- name: links
SELECT number, label, created_at, created_by, expires_at, withdrawn_at, withdrawn_by
FROM status_links WHERE tenant = $1 ORDER BY number DESC

-- name: lock_tenant
-- Links of a tenant are numbered one after the other, and none is given out for a tenant that is gone.
SELECT id FROM tenants WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE

-- name: set_public
INSERT INTO status_pages (tenant, public, changed_at, changed_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant) DO UPDATE SET public = excluded.public, changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: forget_links
-- Those that are over since before $2: the audit log remembers them. Not the last, whose number is not given again.
DELETE FROM status_links
WHERE tenant = $1 AND expires_at < $2 AND number < (SELECT max(number) FROM status_links WHERE tenant = $1)

-- name: running_links
-- Withdrawn ones as well: who makes and withdraws them in a loop fills nothing.
SELECT count(*) FROM status_links WHERE tenant = $1 AND expires_at > $2

-- name: add_link
INSERT INTO status_links (tenant, number, label, created_at, created_by, expires_at)
SELECT $1, coalesce(max(number), 0) + 1, $2, $3, $4, $5 FROM status_links WHERE tenant = $1
RETURNING number, label, created_at, created_by, expires_at, withdrawn_at, withdrawn_by

-- name: withdraw_link
UPDATE status_links SET withdrawn_at = $3, withdrawn_by = $4
WHERE tenant = $1 AND number = $2 AND withdrawn_at IS NULL AND expires_at > $3 RETURNING label

-- name: facts
-- Of tenant $1 at $2: who may look, which statements there are ($3 at most, the newest), and what each of the services that
-- are measured apart has said last of `up`, by the source $4, since $5, in its newest $6 frames.
SELECT coalesce((SELECT public FROM status_pages WHERE tenant = $1), false) AS public,
       l.numbers, l.expire, s.names, s.revisions, s.closed, v.services, v.said
FROM (SELECT array_agg(number) AS numbers, array_agg(expires_at) AS expire
      FROM status_links WHERE tenant = $1 AND withdrawn_at IS NULL AND expires_at > $2) AS l
CROSS JOIN (
  SELECT array_agg(month ORDER BY closes DESC, month) AS names, array_agg(revision ORDER BY closes DESC, month) AS revisions,
         array_agg(closed_at ORDER BY closes DESC, month) AS closed
  FROM (
    -- By what they are about: 2026, 2026-Q3 and 2026-10 sort alike by the end of their period.
    SELECT *, CASE WHEN length(month) = 4 THEN month || '-12' WHEN month LIKE '%Q%'
                   THEN left(month, 5) || lpad((3 * right(month, 1)::integer)::text, 2, '0') ELSE month END AS closes
    FROM (SELECT DISTINCT ON (month) month, revision, closed_at FROM statements
          WHERE tenant = $1 ORDER BY month DESC, revision DESC) AS newest
    ORDER BY closes DESC LIMIT $3
  ) AS shown
) AS s
CROSS JOIN (
  SELECT array_agg(x.service) AS services, array_agg(n.value) AS said
  FROM (SELECT id, labels->>'service' AS service FROM series
        WHERE tenant = $1 AND metric_name = 'up' AND data_source = $4 AND labels ? 'service' AND labels - 'service' = '{}') AS x
  LEFT JOIN LATERAL (
    SELECT f.samples[array_position(f.series, x.id)] AS value
    FROM newest_frames($1, $5, $2, $6) AS f
    WHERE x.id = ANY(f.series) ORDER BY f.ts DESC, f.seq DESC LIMIT 1
  ) AS n ON true
) AS v
