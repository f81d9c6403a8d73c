-- What tells every process what was committed (docs/adr/0010-fronts-and-workers.md). A row is written in the
-- transaction that it tells of; the NOTIFY says only that there is something to read.
CREATE TABLE bus (
  -- Of the transaction: numbers are given in one order and become visible in another, so readers compare these with
  -- the snapshot that they read by last.
  xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq     bigint GENERATED ALWAYS AS IDENTITY,
  -- The process that wrote it and knows already; '' when nobody has been told.
  origin  text NOT NULL DEFAULT '',
  kind    text NOT NULL,
  tenants bigint[] NOT NULL DEFAULT '{}',
  body    jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (xid, seq)
);
-- Kept for minutes: compressing it costs more than writing it.
ALTER TABLE bus ALTER tenants SET STORAGE EXTERNAL;

-- Which transactions were over when: all below `xid` at `at`. Rows are dropped when they have been readable for long.
CREATE TABLE bus_marks (
  at  timestamptz PRIMARY KEY,
  xid xid8 NOT NULL
);
-- Rows below it have been dropped: who has not read so far has missed something.
CREATE TABLE bus_floor (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  xid    xid8 NOT NULL
);
INSERT INTO bus_floor (xid) VALUES ('0');

-- The payload is the same for all rows of a transaction and writer: PostgreSQL sends what is the same once.
CREATE FUNCTION bus_tell(origin text, kind text, tenants bigint[], body jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO bus (origin, kind, tenants, body) VALUES (origin, kind, tenants, body);
  PERFORM pg_notify('ecpmon', origin || ' ' || pg_current_xact_id()::text);
END
$$;

-- What people and programs change, by whatever way, is told by triggers, so that no writer can forget it.
CREATE FUNCTION bus_tenants_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Both names of one that was given another name.
  PERFORM bus_tell('', 'tenant', array_agg(DISTINCT x.id), jsonb_build_object(
    'names', jsonb_agg(DISTINCT x.tenant_id),
    'gone', coalesce(jsonb_agg(DISTINCT x.id) FILTER (WHERE x.gone), '[]')))
  FROM (
    SELECT n.id, n.tenant_id, n.deleted_at IS NOT NULL AS gone FROM new_rows n
    UNION ALL
    SELECT o.id, o.tenant_id, false FROM old_rows o JOIN new_rows n USING (id) WHERE o.tenant_id <> n.tenant_id
  ) AS x HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE FUNCTION bus_tenants_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'tenant', array_agg(id), jsonb_build_object(
    'names', jsonb_agg(tenant_id), 'gone', '[]'::jsonb)) FROM new_rows HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE FUNCTION bus_tenants_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'tenant', array_agg(id), jsonb_build_object(
    'names', jsonb_agg(tenant_id), 'gone', jsonb_agg(id))) FROM old_rows HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_inserted AFTER INSERT ON tenants REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION bus_tenants_made();
CREATE TRIGGER bus_updated AFTER UPDATE ON tenants REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION bus_tenants_told();
CREATE TRIGGER bus_deleted AFTER DELETE ON tenants REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION bus_tenants_removed();

-- Tables whose rows carry the tenant: whose have changed. The argument is the kind of the row.
CREATE FUNCTION bus_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', TG_ARGV[0], array_agg(DISTINCT tenant), '{}') FROM changed HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_inserted AFTER INSERT ON alert_rules REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('rules');
CREATE TRIGGER bus_updated AFTER UPDATE ON alert_rules REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('rules');
CREATE TRIGGER bus_deleted AFTER DELETE ON alert_rules REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('rules');
CREATE TRIGGER bus_inserted AFTER INSERT ON evidence_regimes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('regimes');
CREATE TRIGGER bus_updated AFTER UPDATE ON evidence_regimes REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('regimes');
CREATE TRIGGER bus_deleted AFTER DELETE ON evidence_regimes REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_changed('regimes');

-- New rows of these are read again by their numbers.
CREATE FUNCTION bus_alerts_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'alert', array_agg(DISTINCT tenant), jsonb_build_object('events', jsonb_agg(event_id)))
  FROM new_rows HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_inserted AFTER INSERT ON alert_events REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION bus_alerts_told();
CREATE FUNCTION bus_external_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'external', array_agg(DISTINCT tenant), jsonb_build_object('alerts', jsonb_agg(id)))
  FROM new_rows WHERE tenant IS NOT NULL HAVING count(*) > 0;
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_inserted AFTER INSERT ON external_alerts REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION bus_external_told();

-- Tokens: not when one was used, which is written every minute.
CREATE FUNCTION bus_token_told() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  told bigint[];
BEGIN
  IF TG_TABLE_NAME = 'api_tokens' THEN
    SELECT array_agg(DISTINCT id) INTO told FROM changed;
  ELSE
    SELECT array_agg(DISTINCT token) INTO told FROM changed;
  END IF;
  IF told IS NOT NULL THEN
    PERFORM bus_tell('', 'token', '{}', jsonb_build_object('tokens', told));
  END IF;
  RETURN NULL;
END
$$;
CREATE FUNCTION bus_token_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'token', '{}', jsonb_build_object('tokens', jsonb_build_array(NEW.id)));
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_updated AFTER UPDATE OF name, roles, all_tenants, may_create, expires_at, revoked_at ON api_tokens
  FOR EACH ROW EXECUTE FUNCTION bus_token_changed();
CREATE TRIGGER bus_deleted AFTER DELETE ON api_tokens REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_token_told();
CREATE TRIGGER bus_updated AFTER UPDATE ON token_secrets REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_token_told();
CREATE TRIGGER bus_deleted AFTER DELETE ON token_secrets REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_token_told();
CREATE TRIGGER bus_inserted AFTER INSERT ON token_grants REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_token_told();
CREATE TRIGGER bus_deleted AFTER DELETE ON token_grants REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION bus_token_told();

-- A step of a deployment; its signs of life change no status.
CREATE FUNCTION bus_deployment_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'deployment', ARRAY[NEW.tenant], jsonb_build_object('deployment', NEW.deployment_id));
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_inserted AFTER INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION bus_deployment_told();
CREATE TRIGGER bus_updated AFTER UPDATE OF status ON deployments FOR EACH ROW EXECUTE FUNCTION bus_deployment_told();
