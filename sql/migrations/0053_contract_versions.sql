-- What was promised to a tenant, and from when on: a row per version. `tenants` holds the newest; the database itself writes
-- the versions, so that no way of changing a tenant loses what was promised before.

-- The tenant's own credit table (NULL: rules/credits.yaml) and service hours (NULL: always), as in the API.
ALTER TABLE tenants
  ADD COLUMN credits jsonb CHECK (jsonb_typeof(credits) = 'object'),
  ADD COLUMN hours jsonb CHECK (jsonb_typeof(hours) = 'object');

CREATE TABLE contract_versions (
  tenant                 bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  version                integer NOT NULL CHECK (version >= 1),
  valid_from             timestamptz NOT NULL,
  sla_target             jsonb NOT NULL CHECK (jsonb_typeof(sla_target) = 'object'),
  maintenance_accounting text NOT NULL CHECK (maintenance_accounting IN ('exclude', 'count_as_up')),
  time_zone              text NOT NULL,
  credits                jsonb CHECK (jsonb_typeof(credits) = 'object'),
  hours                  jsonb CHECK (jsonb_typeof(hours) = 'object'),
  created_at             timestamptz NOT NULL,
  created_by             text NOT NULL,
  -- A later one took its place before it had taken effect: no month is judged by it.
  replaced_at            timestamptz,
  PRIMARY KEY (tenant, version),
  CONSTRAINT contract_versions_valid_from_readable CHECK (valid_from BETWEEN '1970-01-01T00:00:00Z' AND '2200-02-01T00:00:00Z'),
  CONSTRAINT contract_versions_created_at_readable CHECK (created_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  CONSTRAINT contract_versions_replaced_at_readable CHECK (replaced_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z')
);
CREATE UNIQUE INDEX contract_versions_in_force ON contract_versions (tenant, valid_from) WHERE replaced_at IS NULL;

CREATE TRIGGER contract_versions_time_zone BEFORE INSERT OR UPDATE OF time_zone ON contract_versions
  FOR EACH ROW EXECUTE FUNCTION check_time_zone();
CREATE TRIGGER tenant_changed AFTER INSERT OR UPDATE OR DELETE ON contract_versions
  FOR EACH ROW EXECUTE FUNCTION tenant_changed_by_row();

-- When the calendar month after `moment` begins in the time zone `tz`. Of a midnight that the clock strikes twice the first.
CREATE FUNCTION next_month(moment timestamptz, tz text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
  wanted timestamp := date_trunc('month', moment AT TIME ZONE tz) + INTERVAL '1 month';
  begins timestamptz := wanted AT TIME ZONE tz;
BEGIN
  IF (begins - INTERVAL '1 hour') AT TIME ZONE tz = wanted THEN
    RETURN begins - INTERVAL '1 hour';
  END IF;
  RETURN begins;
END
$$;

-- From when on a change of `moment` counts: from the creation on the very day of it, else from the next month on.
CREATE FUNCTION takes_effect(moment timestamptz, created timestamptz, tz text) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN (moment AT TIME ZONE tz)::date <= (created AT TIME ZONE tz)::date THEN created
              ELSE next_month(moment, tz) END
$$;

-- Versions are counted up and never change. One that has not taken effect when the next is made is marked as replaced; of
-- those the newest 200 numbers are kept. `ecpmon.actor` is who asked for the change, where a program knows.
CREATE FUNCTION keep_contract() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  actor  text := coalesce(nullif(current_setting('ecpmon.actor', true), ''), session_user);
  moment timestamptz;
  number integer := 1;
  begins timestamptz := NEW.created_at;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    moment := greatest(NEW.created_at, CASE WHEN NEW.updated_at > OLD.updated_at THEN NEW.updated_at ELSE clock_timestamp() END);
    -- In another time zone its first month may have begun on another day: a day and some hours later it surely has.
    SELECT takes_effect(greatest(moment, CASE WHEN v.valid_from > NEW.created_at THEN v.valid_from + INTERVAL '27 hours' END),
                        NEW.created_at, v.time_zone) INTO begins
    FROM contract_versions v WHERE v.tenant = NEW.id AND v.replaced_at IS NULL
    ORDER BY v.valid_from <= moment DESC, CASE WHEN v.valid_from <= moment THEN v.version END DESC, v.version LIMIT 1;
    begins := coalesce(begins, NEW.created_at);
    SELECT coalesce(max(version), 0) + 1 INTO number FROM contract_versions WHERE tenant = NEW.id;
    UPDATE contract_versions SET replaced_at = moment
    WHERE tenant = NEW.id AND replaced_at IS NULL AND valid_from >= begins;
    DELETE FROM contract_versions WHERE tenant = NEW.id AND replaced_at IS NOT NULL AND version <= number - 200;
  END IF;
  INSERT INTO contract_versions (tenant, version, valid_from, sla_target, maintenance_accounting, time_zone, credits, hours,
                                 created_at, created_by)
  VALUES (NEW.id, number, begins, NEW.sla_target, NEW.maintenance_accounting, NEW.time_zone, NEW.credits, NEW.hours,
          coalesce(moment, NEW.created_at), actor);
  RETURN NULL;
END
$$;

-- What was promised until now. Former targets took effect with the next month; of several in a month the last did.
WITH targets AS (
  SELECT id AS tenant, created_at AS at, 0 AS place, NULL::jsonb AS former FROM tenants
  UNION ALL
  SELECT h.tenant, greatest(h.replaced_at, t.created_at), 1, h.sla_target
  FROM sla_target_history h JOIN tenants t ON t.id = h.tenant
), changes AS (
  SELECT tenant, at, row_number() OVER w AS version, lead(former) OVER w AS promised
  FROM targets WINDOW w AS (PARTITION BY tenant ORDER BY place, at)
), effects AS (
  SELECT c.*, t.sla_target, t.maintenance_accounting, t.time_zone,
         CASE WHEN c.version = 1 THEN t.created_at ELSE takes_effect(c.at, t.created_at, t.time_zone) END AS valid_from
  FROM changes c JOIN tenants t ON t.id = c.tenant
)
INSERT INTO contract_versions (tenant, version, valid_from, sla_target, maintenance_accounting, time_zone, created_at,
                               created_by, replaced_at)
SELECT tenant, version, valid_from, coalesce(promised, sla_target), maintenance_accounting, time_zone, at, 'migration',
       lead(at) OVER (PARTITION BY tenant, valid_from ORDER BY version)
FROM effects;

CREATE TRIGGER keep_contract_made AFTER INSERT ON tenants FOR EACH ROW EXECUTE FUNCTION keep_contract();
CREATE TRIGGER keep_contract AFTER UPDATE OF sla_target, maintenance_accounting, time_zone, credits, hours ON tenants
  FOR EACH ROW WHEN ((OLD.sla_target, OLD.maintenance_accounting, OLD.time_zone, OLD.credits, OLD.hours)
                     IS DISTINCT FROM (NEW.sla_target, NEW.maintenance_accounting, NEW.time_zone, NEW.credits, NEW.hours))
  EXECUTE FUNCTION keep_contract();

DROP TRIGGER keep_sla_target ON tenants;
DROP FUNCTION keep_sla_target();
DROP TABLE sla_target_history;
