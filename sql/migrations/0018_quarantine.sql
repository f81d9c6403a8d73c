-- Whose rows made a job fail (docs/poison.md). The job goes on for everybody else, and tries the tenant again at `next_at`.
CREATE TABLE quarantine (
  tenant   bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  job      text NOT NULL,
  -- What of the tenant, such as a bucket; empty: all that the job does for it.
  subject  text NOT NULL DEFAULT '',
  reason   text NOT NULL,
  first_at timestamptz NOT NULL,
  last_at  timestamptz NOT NULL,
  tries    integer NOT NULL DEFAULT 1 CHECK (tries >= 1),
  next_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant, job, subject),
  CHECK (first_at <= last_at AND last_at < next_at)
) WITH (fillfactor = 50);
CREATE INDEX quarantine_by_job ON quarantine (job);
