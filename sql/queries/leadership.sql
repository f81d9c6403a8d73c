-- name: keep
SELECT term, mine FROM keep_leadership($1, $2, $3)

-- name: release
UPDATE leadership SET holder = NULL WHERE role = $1 AND holder = $2

-- name: check
SELECT check_leadership($1, $2, $3)
