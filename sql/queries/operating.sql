-- name: read
SELECT document, version, changed_at, changed_by FROM operating_settings

-- name: lock
-- Whoever changes it changes what the one before has left.
SELECT document, version, changed_at, changed_by FROM operating_settings FOR UPDATE

-- name: put
INSERT INTO operating_settings AS s (document, version, changed_at, changed_by) VALUES ($1, 1, $2, $3)
ON CONFLICT (single) DO UPDATE
SET document = excluded.document, version = s.version + 1, changed_at = excluded.changed_at, changed_by = excluded.changed_by
RETURNING version
