-- Alert rules about objectives: the SLA rules again, once for each objective of a tenant.
ALTER TABLE alert_rules
  -- The name is what people see; the number says what is counted. No foreign key: a rule is ended, and everybody who heard of
  -- it told, before it goes.
  ADD COLUMN objective text,
  ADD COLUMN objective_key bigint,
  ADD CHECK ((objective IS NULL) = (objective_key IS NULL)),
  ADD CHECK (objective IS NULL OR kind <> 'threshold');
ALTER TABLE alert_events ADD COLUMN objective text;
