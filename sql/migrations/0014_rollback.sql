-- What ran before a deployment began, so that whoever takes it up after a crash can still roll back to it.
-- Forgotten when the deployment is over.
ALTER TABLE deployments
  ADD COLUMN before jsonb CHECK (jsonb_typeof(before) = 'array'),
  ADD CHECK (before IS NULL OR finished_at IS NULL);
