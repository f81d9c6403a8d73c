-- name: keep
SELECT term, mine FROM keep_leadership($1, $2, $3)

-- name: release
UPDATE leadership SET holder = NULL WHERE role = $1 AND holder = $2

-- name: check
SELECT check_leadership($1, $2, $3)

-- name: is_led
SELECT EXISTS (SELECT FROM leadership WHERE role = $1 AND holder IS NOT NULL AND expires_at > clock_timestamp())
