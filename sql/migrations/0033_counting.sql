-- Counters are counted differently from release to release: objectives whose counts are of an older way of counting are
-- counted anew, as far as there are raw samples. `COUNTING` in ecpmon/sla/counters.py is the present one.
ALTER TABLE objectives ADD COLUMN counting smallint NOT NULL DEFAULT 1,
  -- No hole ends after it; NULL: there is none.
  ADD COLUMN holes_until timestamptz
    CONSTRAINT objectives_holes_until_readable CHECK (holes_until BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z');

-- Running sums like the others; NULL where an hour holds nothing of the kind, as most do. `bridged`: microseconds of gaps that
-- the counters measured, in the minutes that told. `resets`: restarts that were only assumed.
ALTER TABLE objective_hours
  ADD COLUMN bridged bigint[] CHECK (cardinality(bridged) = 60 AND bridged[1] >= 0),
  ADD COLUMN resets bigint[] CHECK (cardinality(resets) = 60 AND resets[1] >= 0),
  ADD COLUMN bridged_before bigint NOT NULL DEFAULT 0,
  ADD COLUMN resets_before bigint NOT NULL DEFAULT 0;

-- What was counted at `ends` for all of the time since `starts`, in which nobody read: where an edge of a window or of maintenance
-- cuts it, nobody knows on which side it happened. `bridged`: microseconds from `starts` on that are a gap which the counters
-- measured.
CREATE TABLE objective_holes (
  objective bigint NOT NULL REFERENCES objectives (id) ON DELETE CASCADE,
  ends      timestamptz NOT NULL,
  starts    timestamptz NOT NULL,
  good      bigint NOT NULL,
  total     bigint NOT NULL,
  bridged   bigint NOT NULL,
  PRIMARY KEY (objective, ends, starts),
  CONSTRAINT objective_holes_time
    CHECK (starts >= '1970-01-01T00:00:00Z' AND starts < ends AND ends < '2200-01-01T00:00:00Z')
);
CREATE INDEX objective_holes_cut ON objective_holes USING gist (objective, tstzrange(starts, ends, '()'));

-- One row per minute that holds anything, for people and dashboards.
CREATE OR REPLACE VIEW objective_minutes AS
SELECT t.tenant_id, o.name AS objective, h.hour + make_interval(mins => k - 1) AS minute,
       h.good[k] - coalesce(h.good[k - 1], 0) AS good, h.total[k] - coalesce(h.total[k - 1], 0) AS total,
       (h.observed[k] - coalesce(h.observed[k - 1], 0)) / 1e6 AS observed_seconds,
       coalesce(h.bridged[k] - coalesce(h.bridged[k - 1], 0), 0) / 1e6 AS bridged_seconds,
       coalesce(h.resets[k] - coalesce(h.resets[k - 1], 0), 0) AS assumed_resets
FROM tenants t
JOIN objectives o ON o.tenant = t.id
JOIN objective_hours h ON h.objective = o.id
CROSS JOIN generate_series(1, 60) AS k
WHERE t.deleted_at IS NULL AND o.retired_at IS NULL
  AND (h.observed[k] > coalesce(h.observed[k - 1], 0) OR h.total[k] > coalesce(h.total[k - 1], 0)
       OR h.good[k] <> coalesce(h.good[k - 1], 0) OR h.bridged[k] > coalesce(h.bridged[k - 1], 0)
       OR h.resets[k] > coalesce(h.resets[k - 1], 0));
