-- Objectives counted by the minute: request-based and latency SLIs (data-and-sla.md §3).

-- What is promised, and what is counted for it. Another indicator is another history, so it is another row; the
-- retired one keeps its counts until retention ends.
CREATE TABLE objectives (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  name       text NOT NULL CHECK (name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'),
  -- Comes from rules/objectives.yaml and follows it.
  inherited  boolean NOT NULL,
  indicator  jsonb NOT NULL CHECK (jsonb_typeof(indicator) = 'object'),
  definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'
                                   AND (definition->>'target')::float8 > 0 AND (definition->>'target')::float8 < 1),
  -- The first observation; before it nothing is eligible.
  first_at   timestamptz,
  created_at timestamptz NOT NULL,
  retired_at timestamptz CHECK (retired_at >= created_at)
);
CREATE UNIQUE INDEX objectives_live ON objectives (tenant, name) WHERE retired_at IS NULL;

-- The minutes of an hour as running sums within it: element k holds what was counted through minute k. `*_before`
-- is everything before the hour, from an arbitrary origin, because only differences are used. So a window of any
-- length is the difference of two look-ups, and the minutes are still there (see the view). `observed` is in
-- microseconds; so are `good` and `total` of a latency objective.
CREATE TABLE objective_hours (
  objective       bigint NOT NULL REFERENCES objectives (id) ON DELETE CASCADE,
  hour            timestamptz NOT NULL CHECK (date_trunc('hour', hour, 'UTC') = hour),
  good            bigint[] NOT NULL CHECK (cardinality(good) = 60),
  total           bigint[] NOT NULL CHECK (cardinality(total) = 60),
  observed        bigint[] NOT NULL CHECK (cardinality(observed) = 60),
  good_before     bigint NOT NULL DEFAULT 0,
  total_before    bigint NOT NULL DEFAULT 0,
  observed_before bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (objective, hour),
  CHECK (0 <= total[1] AND total[60] >= total[1] AND observed[60] BETWEEN 0 AND 3600000000)
-- Four hours and room for a newer version of one of them fit a page.
) WITH (fillfactor = 80);

-- Stretches of a tenant's time whose minutes are out of date. Writers bump `generation` under the row lock, so
-- that the job cannot delete a mark whose frame it has not seen (as for `rollup_dirty`).
CREATE TABLE objective_marks (
  tenant     bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  starts     timestamptz NOT NULL,
  ends       timestamptz NOT NULL CHECK (starts < ends),
  generation bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, starts, ends)
) WITH (fillfactor = 50);

-- Whoever writes frames marks the rollups; what makes a rollup stale makes these counts stale. In the writer's
-- transaction and in its order, so that writers cannot deadlock.
CREATE FUNCTION objective_marks_follow() RETURNS trigger AS $$
BEGIN
  INSERT INTO objective_marks (tenant, starts, ends)
  SELECT m.tenant, m.bucket, m.bucket + INTERVAL '5 minutes' FROM marked m
  JOIN tenants t ON t.id = m.tenant
  ORDER BY 1, 2
  ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER objectives_follow_inserts AFTER INSERT ON rollup_dirty
  REFERENCING NEW TABLE AS marked FOR EACH STATEMENT EXECUTE FUNCTION objective_marks_follow();
CREATE TRIGGER objectives_follow_updates AFTER UPDATE ON rollup_dirty
  REFERENCING NEW TABLE AS marked FOR EACH STATEMENT EXECUTE FUNCTION objective_marks_follow();

-- Everything a tenant has said since `since` is to be counted again.
CREATE FUNCTION objective_marks_since(whose bigint, since timestamptz) RETURNS void AS $$
  INSERT INTO objective_marks (tenant, starts, ends)
  SELECT whose, time_bucket('5 minutes', min(ts)), time_bucket('5 minutes', max(ts)) + INTERVAL '5 minutes'
  FROM frames WHERE tenant = whose AND ts >= since HAVING min(ts) IS NOT NULL
  ON CONFLICT (tenant, starts, ends) DO UPDATE SET generation = objective_marks.generation + 1
$$ LANGUAGE sql;

CREATE FUNCTION objective_starts() RETURNS trigger AS $$
BEGIN
  PERFORM objective_marks_since(NEW.tenant, '-infinity');
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER objective_starts AFTER INSERT ON objectives FOR EACH ROW EXECUTE FUNCTION objective_starts();

-- Another source of evidence, or another interval of it: readings count, or hold, differently from then on.
CREATE FUNCTION objectives_follow_regimes() RETURNS trigger AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    PERFORM objective_marks_since(OLD.tenant, OLD.valid_from) FROM tenants WHERE id = OLD.tenant;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    PERFORM objective_marks_since(NEW.tenant, NEW.valid_from);
  END IF;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER objectives_follow_regimes AFTER INSERT OR UPDATE OR DELETE ON evidence_regimes
  FOR EACH ROW EXECUTE FUNCTION objectives_follow_regimes();

-- The latest evaluation per objective and window; `status` carries the hysteresis across restarts.
CREATE TABLE objective_current (
  objective   bigint NOT NULL REFERENCES objectives (id) ON DELETE CASCADE,
  window_name text NOT NULL,
  as_of       timestamptz NOT NULL,
  status      text NOT NULL CHECK (status IN ('meeting', 'at_risk', 'violated', 'no_data')),
  PRIMARY KEY (objective, window_name)
) WITH (fillfactor = 50);

-- One row per minute that holds anything, for people and dashboards.
CREATE VIEW objective_minutes AS
SELECT t.tenant_id, o.name AS objective, h.hour + make_interval(mins => k - 1) AS minute,
       h.good[k] - coalesce(h.good[k - 1], 0) AS good, h.total[k] - coalesce(h.total[k - 1], 0) AS total,
       (h.observed[k] - coalesce(h.observed[k - 1], 0)) / 1e6 AS observed_seconds
FROM tenants t
JOIN objectives o ON o.tenant = t.id
JOIN objective_hours h ON h.objective = o.id
CROSS JOIN generate_series(1, 60) AS k
WHERE t.deleted_at IS NULL AND o.retired_at IS NULL
  AND (h.observed[k] > coalesce(h.observed[k - 1], 0) OR h.total[k] > coalesce(h.total[k - 1], 0)
       OR h.good[k] <> coalesce(h.good[k - 1], 0));
