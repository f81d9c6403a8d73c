-- name: revisions
SELECT revision, closed_at, digest, document -> 'contract' AS contract, document::text AS document, changes FROM statements
WHERE tenant = $1 AND month = $2 ORDER BY revision

-- name: close
-- Two processes that close at once make one revision. With it goes a sending for everybody who is to have it: who sees the
-- one sees the other.
WITH made AS (
  INSERT INTO statements (tenant, month, revision, closed_at, digest, document, changes)
  VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb)
  ON CONFLICT (tenant, month, revision) DO NOTHING
  RETURNING tenant, month, revision, closed_at
)
INSERT INTO statement_sendings (tenant, month, revision, recipient, created_at, next_attempt_at)
SELECT m.tenant, m.month, m.revision, r.recipient, m.closed_at, m.closed_at
FROM made m JOIN statement_recipients s ON s.tenant = m.tenant CROSS JOIN LATERAL unnest(s.recipients) AS r(recipient)
WHERE (m.revision = 1 OR s.restatements)
  -- Of rows made by hand: what is no address keeps no month from being closed.
  AND length(r.recipient) BETWEEN 3 AND 400
  AND CASE WHEN m.month LIKE '%Q%' THEN 'quarter' WHEN length(m.month) = 4 THEN 'year' ELSE 'month' END = ANY(s.periods)

-- name: digests
-- Of the newest revisions of those of $2 that are closed.
SELECT DISTINCT ON (month) month, digest FROM statements
WHERE tenant = $1 AND month = ANY($2::text[]) ORDER BY month, revision DESC

-- name: closed_months
-- Of every live tenant, for the job that looks for late changes; quarters and years as well.
SELECT DISTINCT t.tenant_id, s.month FROM statements s JOIN tenants t ON t.id = s.tenant
WHERE t.deleted_at IS NULL

-- name: looks
-- What was found of live tenants when their months were looked at last.
SELECT t.tenant_id, l.month, l.looked_at, l.inputs, l.spans FROM statement_looks l JOIN tenants t ON t.id = l.tenant
WHERE t.deleted_at IS NULL

-- name: note_looks
-- At $2, of the tenants $1 (numbers) and their months $3.
INSERT INTO statement_looks AS l (tenant, month, looked_at, inputs, spans)
SELECT t.id, x.month, $2, x.inputs, x.spans
FROM unnest($1::bigint[], $3::text[], $4::bytea[], $5::bytea[]) AS x (tenant, month, inputs, spans)
JOIN tenants t ON t.id = x.tenant
ORDER BY 1, 2
ON CONFLICT (tenant, month) DO UPDATE
SET looked_at = excluded.looked_at, inputs = excluded.inputs, spans = excluded.spans

-- name: span_sums
-- Of the tenants $1 (numbers), by months of UTC: what is another text when a span that began in one is another.
SELECT s.tenant, to_char(lower(s.period) AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
       count(*) || ' ' || sum(hash_record_extended(s, 0)) AS sum
FROM availability_spans s WHERE s.tenant = ANY($1::bigint[])
GROUP BY 1, 2 ORDER BY 1, 2

-- name: imported
-- Of which stretches of tenant $1 something was imported.
SELECT lower(r) AS start, upper(r) AS "end" FROM imported i CROSS JOIN LATERAL unnest(i.periods) AS r (r)
WHERE i.tenant = $1 ORDER BY 1
