-- Planned maintenance, and what a contract says about it.

ALTER TABLE tenants
  ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC',
  ADD COLUMN maintenance_accounting text NOT NULL DEFAULT 'exclude'
    CHECK (maintenance_accounting IN ('exclude', 'count_as_up'));

CREATE FUNCTION check_time_zone() RETURNS trigger AS $$
BEGIN
  -- Raises for a zone that does not exist.
  PERFORM CURRENT_TIMESTAMP AT TIME ZONE NEW.time_zone;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER tenants_time_zone BEFORE INSERT OR UPDATE OF time_zone ON tenants
  FOR EACH ROW EXECUTE FUNCTION check_time_zone();

CREATE TABLE maintenance (
  maintenance_id uuid PRIMARY KEY,
  tenant         bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  starts_at      timestamptz NOT NULL,
  duration       interval NOT NULL CHECK (duration > INTERVAL '0' AND duration <= INTERVAL '31 days'),
  rrule          text CHECK (length(rrule) <= 500),
  time_zone      text NOT NULL,
  title          text NOT NULL DEFAULT '',
  reason         text NOT NULL CHECK (reason ~ '\S'),
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL,
  -- Removed windows stay on record: statements show who took what out, and who put it back.
  removed_at     timestamptz,
  removed_by     text,
  CHECK ((removed_at IS NULL) = (removed_by IS NULL))
);
CREATE INDEX maintenance_by_tenant ON maintenance (tenant, starts_at) WHERE removed_at IS NULL;
CREATE TRIGGER maintenance_time_zone BEFORE INSERT ON maintenance
  FOR EACH ROW EXECUTE FUNCTION check_time_zone();
