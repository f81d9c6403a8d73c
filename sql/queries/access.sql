-- name: own_secret
WITH made AS (
  INSERT INTO secrets (name, value) VALUES ($1, $2)
  ON CONFLICT (name) DO UPDATE SET value = secrets.value RETURNING value)
SELECT value FROM made
