-- Whether a deployment still has to be begun by somebody stands in its row on the bus: its steps concern nobody who works.
CREATE OR REPLACE FUNCTION bus_deployment_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'deployment', ARRAY[NEW.tenant], jsonb_build_object(
    'deployment', NEW.deployment_id,
    'waits', NEW.finished_at IS NULL AND NEW.heartbeat_at <= '1970-01-01T00:00:00Z'));
  RETURN NULL;
END
$$;
