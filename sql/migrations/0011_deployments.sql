-- Deployments as durable rows: a state machine, one at a time per tenant, resumed when their process is gone.

-- What ran when this was installed has nobody to finish it.
UPDATE deployments SET status = 'failed', finished_at = greatest(created_at, CURRENT_TIMESTAMP)
WHERE status = 'running';
ALTER TABLE deployments DROP CONSTRAINT deployments_status_check;
ALTER TABLE deployments
  ADD CHECK (status IN ('pending', 'validating', 'creating-namespace', 'creating-services', 'scaling-services',
                        'verifying', 'completed', 'failed', 'rolled-back')),
  -- Order of insertion: two may be asked for within one tick of a clock.
  ADD COLUMN seq            bigint GENERATED ALWAYS AS IDENTITY,
  -- NULL: the row that a new tenant has before anybody deploys it.
  ADD COLUMN requested_at   timestamptz,
  ADD COLUMN requested_by   text NOT NULL DEFAULT '',
  -- Why the deploy gate was overruled.
  ADD COLUMN forced_because text CHECK (length(forced_because) >= 10),
  ADD COLUMN options        jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(options) = 'object'),
  ADD COLUMN progress       integer NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
  ADD COLUMN objects        jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(objects) = 'array'),
  ADD COLUMN logs           jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(logs) = 'array'),
  -- Whoever works on it says so every few seconds; silence lets another take over.
  ADD COLUMN heartbeat_at   timestamptz,
  ADD COLUMN tries          integer NOT NULL DEFAULT 0;
UPDATE deployments SET requested_at = created_at WHERE status <> 'pending';
ALTER TABLE deployments ADD CHECK (
  (finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'rolled-back')) OR requested_at IS NULL);

CREATE INDEX deployments_newest ON deployments (tenant, seq DESC);
DROP INDEX deployments_by_tenant;

-- Two deployments of one tenant at once: the second is refused.
CREATE UNIQUE INDEX deployments_running ON deployments (tenant)
  WHERE requested_at IS NOT NULL AND finished_at IS NULL;

CREATE FUNCTION deployments_go_on() RETURNS trigger AS $$
DECLARE
  way text[] := ARRAY['pending', 'validating', 'creating-namespace', 'creating-services', 'scaling-services',
                      'verifying', 'completed'];
BEGIN
  IF OLD.status IN ('completed', 'failed', 'rolled-back') THEN
    RAISE EXCEPTION 'deployment % is over', OLD.deployment_id USING ERRCODE = 'check_violation';
  END IF;
  -- A resumed one starts over from `validating`.
  IF NEW.status NOT IN ('validating', 'failed', 'rolled-back')
     AND array_position(way, NEW.status) < array_position(way, OLD.status) THEN
    RAISE EXCEPTION 'deployment % cannot go from % to %', OLD.deployment_id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER deployments_go_on BEFORE UPDATE OF status ON deployments
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION deployments_go_on();
