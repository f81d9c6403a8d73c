-- name: begin
-- How far the import $1 has got. One that had ended begins anew: tenants may have been made since.
INSERT INTO imports AS i (source, name, position, samples, started_at) VALUES ($1, $2, $3, 0, $4)
ON CONFLICT (source) DO UPDATE
SET ended_at = NULL, position = CASE WHEN i.ended_at IS NULL THEN i.position ELSE excluded.position END,
    samples = CASE WHEN i.ended_at IS NULL THEN i.samples ELSE 0 END
RETURNING position, samples

-- name: reach
UPDATE imports SET position = greatest(position, $2), samples = samples + $3 WHERE source = $1

-- name: end
UPDATE imports SET ended_at = $2 WHERE source = $1

-- name: note
-- Something came for the tenants $1, from $2 to $3.
INSERT INTO imported AS i (tenant, periods)
SELECT t.id, range_agg(tstzrange(x.starts, x.ends, '[]'))
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS x (tenant_id, starts, ends)
JOIN tenants t ON t.tenant_id = x.tenant_id AND t.deleted_at IS NULL GROUP BY t.id ORDER BY t.id
ON CONFLICT (tenant) DO UPDATE SET periods = i.periods + excluded.periods
