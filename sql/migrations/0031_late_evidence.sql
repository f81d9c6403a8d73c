-- Late evidence that would cost everybody's commit too much is marked, and taken in by a job that has the tenant's timeline
-- to itself meanwhile: until `held_until` no commit waits for it (ecpmon/storage/late.py, ecpmon/storage/hand_made.py).
ALTER TABLE availability_heads ADD COLUMN held_until timestamptz
  CONSTRAINT availability_heads_held_until_readable
  CHECK (held_until BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z');

-- The job takes the marks of one tenant after the other, the newest first.
CREATE INDEX evidence_dirty_by_tenant ON evidence_dirty (tenant, ts);
