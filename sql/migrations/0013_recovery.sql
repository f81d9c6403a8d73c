-- Automatic recovery: one row per alert that a tenant is down. The due time is in the row, so that the re-check
-- survives whatever happens to the process.
CREATE TABLE recoveries (
  recovery_id     uuid PRIMARY KEY,
  tenant          bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  alert_name      text NOT NULL,
  severity        text NOT NULL,
  fingerprint     text NOT NULL,
  alert_starts_at timestamptz NOT NULL,
  state           text NOT NULL CHECK (state IN ('restarting', 'waiting', 'recovered', 'escalated', 'joined')),
  reason          text NOT NULL,
  detail          text NOT NULL DEFAULT '',
  -- Calls of the deployer; all of them carry the stamp `restart_at`, so that a repeated one starts nothing new.
  tries           integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
  restart_at      timestamptz,
  restarted_at    timestamptz,
  restarted       integer CHECK (restarted >= 0),
  due_at          timestamptz,
  claimed_until   timestamptz,
  created_at      timestamptz NOT NULL,
  updated_at      timestamptz NOT NULL,
  escalated_at    timestamptz,
  ended_at        timestamptz,
  -- The same alert delivered twice acts once. With the tenant, so that nobody can use up another's alert.
  UNIQUE (tenant, fingerprint, alert_starts_at),
  CHECK ((state IN ('recovered', 'joined')) = (ended_at IS NOT NULL)),
  CHECK (state NOT IN ('restarting', 'waiting') OR due_at IS NOT NULL),
  CHECK (ended_at IS NULL OR due_at IS NULL),
  CHECK (state <> 'waiting' OR restarted_at IS NOT NULL),
  CHECK ((restart_at IS NULL) = (tries = 0)),
  CHECK ((restarted_at IS NULL) = (restarted IS NULL))
);
CREATE INDEX recoveries_due ON recoveries (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX recoveries_by_tenant ON recoveries (tenant, created_at DESC);
-- One recovery of a tenant at a time.
CREATE UNIQUE INDEX recoveries_under_way ON recoveries (tenant) WHERE state IN ('restarting', 'waiting');

-- What was right-sized: per service the requests and limits that replace the catalogue's, as quantities.
ALTER TABLE tenants ADD COLUMN service_resources jsonb NOT NULL DEFAULT '{}'
  CHECK (
    jsonb_typeof(service_resources) = 'object'
    AND NOT jsonb_path_exists(service_resources, 'strict $.* ? (@.type() != "object")')
    AND jsonb_path_exists(service_resources, 'strict $.*.* ? (@.type() != "string")', '{}', true) IS NOT TRUE);

-- What of a tenant its deployment was made from: service_requirements, sla_target, preset, service_resources.
ALTER TABLE tenants ADD COLUMN deployed_spec jsonb CHECK (jsonb_typeof(deployed_spec) = 'object');

-- Former SLA targets: `sla_target` was promised until `replaced_at`. Kept by a trigger, so that no way of changing
-- a tenant loses what was promised before; monthly statements are made under the target their month began with.
CREATE TABLE sla_target_history (
  tenant      bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  replaced_at timestamptz NOT NULL,
  sla_target  jsonb NOT NULL,
  PRIMARY KEY (tenant, replaced_at)
);
CREATE FUNCTION keep_sla_target() RETURNS trigger AS $$
BEGIN
  -- Changed twice within one instant: what was promised before it stands.
  INSERT INTO sla_target_history (tenant, replaced_at, sla_target)
  VALUES (OLD.id, CASE WHEN NEW.updated_at > OLD.updated_at THEN NEW.updated_at ELSE clock_timestamp() END, OLD.sla_target)
  ON CONFLICT (tenant, replaced_at) DO NOTHING;
  RETURN NULL;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER keep_sla_target AFTER UPDATE OF sla_target ON tenants
  FOR EACH ROW WHEN (OLD.sla_target IS DISTINCT FROM NEW.sla_target) EXECUTE FUNCTION keep_sla_target();
