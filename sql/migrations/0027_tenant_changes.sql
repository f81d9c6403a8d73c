-- Which tenants changed in what jobs hold in memory: their row, rules, states of rules, maintenance. A reader asks for those
-- since the oldest transaction that was open when it asked last, so it misses none, whatever process wrote it.
CREATE TABLE tenant_changes (
  -- No foreign key: that it was deleted is told as well.
  tenant bigint PRIMARY KEY,
  xid    xid8 NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX tenant_changes_by_xid ON tenant_changes (xid);

CREATE FUNCTION tenant_changed(changed bigint) RETURNS void AS $$
  INSERT INTO tenant_changes AS c (tenant, xid) VALUES (changed, pg_current_xact_id())
  ON CONFLICT (tenant) DO UPDATE SET xid = excluded.xid WHERE c.xid <> excluded.xid
$$ LANGUAGE sql;

CREATE FUNCTION tenant_changed_itself() RETURNS trigger AS $$
BEGIN
  PERFORM tenant_changed(coalesce(NEW.id, OLD.id));
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER tenant_changed AFTER INSERT OR UPDATE OR DELETE ON tenants
  FOR EACH ROW EXECUTE FUNCTION tenant_changed_itself();

CREATE FUNCTION tenant_changed_by_row() RETURNS trigger AS $$
BEGIN
  PERFORM tenant_changed(coalesce(NEW.tenant, OLD.tenant));
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER tenant_changed AFTER INSERT OR UPDATE OR DELETE ON alert_rules
  FOR EACH ROW EXECUTE FUNCTION tenant_changed_by_row();
CREATE TRIGGER tenant_changed AFTER INSERT OR UPDATE OR DELETE ON maintenance
  FOR EACH ROW EXECUTE FUNCTION tenant_changed_by_row();

CREATE FUNCTION tenant_changed_by_state() RETURNS trigger AS $$
BEGIN
  PERFORM tenant_changed(r.tenant) FROM alert_rules r WHERE r.rule_id = NEW.rule_id;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
-- Not of what only goes on.
CREATE TRIGGER tenant_changed AFTER UPDATE ON alert_states FOR EACH ROW
  WHEN ((OLD.status, OLD.frozen, OLD.since, OLD.alert_id) IS DISTINCT FROM (NEW.status, NEW.frozen, NEW.since, NEW.alert_id))
  EXECUTE FUNCTION tenant_changed_by_state();
