-- name: tell
-- At the end of a group commit: which tenants it touched, written by $1, which knows already.
WITH told AS (
  INSERT INTO bus (origin, kind, tenants, body) VALUES ($1, $2, $3::bigint[], $4) RETURNING xid
)
SELECT pg_notify('ecpmon', $1 || ' ' || xid::text) FROM told

-- name: read
-- What became visible since snapshot $1 and was not written by $2, with the snapshot of this very statement. A row beyond
-- every transaction of this server was copied from another one.
SELECT pg_current_snapshot()::text AS snapshot, (SELECT xid FROM bus_floor)::text AS floor,
       r.seq, r.origin, r.kind, r.tenants, r.body::text AS body
FROM (VALUES (1)) AS always LEFT JOIN (
  SELECT b.* FROM bus b
  WHERE b.xid >= pg_snapshot_xmax($1::text::pg_snapshot) AND b.xid < pg_snapshot_xmax(pg_current_snapshot())
  UNION ALL
  SELECT b.* FROM pg_snapshot_xip($1::text::pg_snapshot) AS late (xid) JOIN bus b ON b.xid = late.xid
) AS r ON r.origin <> $2
ORDER BY r.seq

-- name: now
-- Where a reader begins: everything up to here it will read for itself.
SELECT pg_current_snapshot()::text AS snapshot

-- name: mark
INSERT INTO bus_marks (at, xid) VALUES ($1, pg_snapshot_xmin(pg_current_snapshot())) ON CONFLICT DO NOTHING

-- name: forget
-- What had been readable at $1, and what is of another server's transactions. The floor moves in the same transaction.
WITH mark AS (
  SELECT m.xid FROM bus_marks m
  WHERE m.at <= $1 AND m.xid <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY m.xid DESC LIMIT 1
), floor AS (
  UPDATE bus_floor f SET xid = mark.xid FROM mark
  WHERE f.xid < mark.xid OR f.xid > pg_snapshot_xmin(pg_current_snapshot())
), marks AS (
  DELETE FROM bus_marks m USING mark
  WHERE m.xid < mark.xid OR m.xid > pg_snapshot_xmin(pg_current_snapshot())
), gone AS (
  DELETE FROM bus b
  WHERE b.xid < (SELECT xid FROM mark) OR b.xid >= pg_snapshot_xmax(pg_current_snapshot()) RETURNING 1
)
SELECT count(*) FROM gone
