-- A row of `recoveries` is an incident: what was done about one outage, however many alerts told of it. It begins in
-- `checking`, where our own evidence has its time; `doubted` is an alert about a tenant that we measure as up; `closed`
-- is over without anybody knowing from own evidence that the tenant is up. What joined another incident names it.
ALTER TABLE recoveries ADD COLUMN joined_to uuid CHECK (joined_to IS NULL OR state = 'joined');
ALTER TABLE recoveries ADD CONSTRAINT recoveries_of_tenant UNIQUE (tenant, recovery_id);
ALTER TABLE recoveries ADD CONSTRAINT recoveries_joined_to
  FOREIGN KEY (tenant, joined_to) REFERENCES recoveries (tenant, recovery_id) ON DELETE SET NULL (joined_to);
CREATE INDEX recoveries_joined ON recoveries (tenant, joined_to, created_at DESC) WHERE joined_to IS NOT NULL;

-- The same alert may begin another incident, when the tenant was up in between.
ALTER TABLE recoveries DROP CONSTRAINT recoveries_tenant_fingerprint_alert_starts_at_key;
CREATE INDEX recoveries_by_alert ON recoveries (tenant, fingerprint, alert_starts_at);

ALTER TABLE recoveries DROP CONSTRAINT recoveries_state_check;
ALTER TABLE recoveries ADD CONSTRAINT recoveries_state_check
  CHECK (state IN ('checking', 'doubted', 'restarting', 'waiting', 'recovered', 'escalated', 'closed', 'joined'));
ALTER TABLE recoveries DROP CONSTRAINT recoveries_check;
-- Nobody looks at these any more.
UPDATE recoveries SET state = 'closed', ended_at = updated_at WHERE state = 'escalated' AND due_at IS NULL;
ALTER TABLE recoveries ADD CONSTRAINT recoveries_ended
  CHECK ((state IN ('recovered', 'closed', 'joined')) = (ended_at IS NOT NULL));
ALTER TABLE recoveries DROP CONSTRAINT recoveries_check1;
-- What is not over is looked at.
ALTER TABLE recoveries ADD CONSTRAINT recoveries_looked_at CHECK ((ended_at IS NULL) = (due_at IS NOT NULL));
ALTER TABLE recoveries DROP CONSTRAINT recoveries_check2;

DROP INDEX recoveries_under_way;
CREATE UNIQUE INDEX recoveries_under_way ON recoveries (tenant)
  WHERE state IN ('checking', 'doubted', 'restarting', 'waiting');
-- For those that people were called for, and for what belongs to an outage.
CREATE INDEX recoveries_open ON recoveries (tenant) WHERE ended_at IS NULL;
