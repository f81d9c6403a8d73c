-- What an exclusion needs to count (approval, notice) is a term of the contract; NULL: as the settings say.
CREATE FUNCTION are_exclusion_rules(rules jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT coalesce(jsonb_typeof(rules->'needs_approval') = 'boolean' AND jsonb_typeof(rules->'notice_hours') = 'number'
                  AND jsonb_path_exists(rules, '$.notice_hours ? (@ >= 0 && @ <= 8760)'), false)
$$;
ALTER TABLE tenants ADD COLUMN exclusion_rules jsonb CHECK (are_exclusion_rules(exclusion_rules));
ALTER TABLE contract_versions ADD COLUMN exclusion_rules jsonb CHECK (are_exclusion_rules(exclusion_rules));

-- Versions are counted up and never change. One that has not taken effect when the next is made is marked as replaced; of
-- those the newest 200 numbers are kept. `ecpmon.actor` is who asked for the change, where a program knows.
CREATE OR REPLACE FUNCTION keep_contract() RETURNS trigger LANGUAGE plpgsql AS $$
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
                                 exclusion_rules, created_at, created_by)
  VALUES (NEW.id, number, begins, NEW.sla_target, NEW.maintenance_accounting, NEW.time_zone, NEW.credits, NEW.hours,
          NEW.exclusion_rules, coalesce(moment, NEW.created_at), actor);
  RETURN NULL;
END
$$;

DROP TRIGGER keep_contract ON tenants;
CREATE TRIGGER keep_contract
  AFTER UPDATE OF sla_target, maintenance_accounting, time_zone, credits, hours, exclusion_rules ON tenants
  FOR EACH ROW WHEN ((OLD.sla_target, OLD.maintenance_accounting, OLD.time_zone, OLD.credits, OLD.hours, OLD.exclusion_rules)
                     IS DISTINCT FROM (NEW.sla_target, NEW.maintenance_accounting, NEW.time_zone, NEW.credits, NEW.hours,
                                       NEW.exclusion_rules))
  EXECUTE FUNCTION keep_contract();
