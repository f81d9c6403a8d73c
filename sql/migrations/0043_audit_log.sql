-- Who changed what, when and from where. Rows are added in the transaction of the change and never changed; retention takes
-- away whole stretches of the past (`ecpmon.audit_until` says up to where, for its transaction only).
CREATE TABLE audit_log (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL
    CONSTRAINT audit_log_at_readable CHECK (at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  -- The name of the token, `command line`, or `ecpmon` for what no person did.
  actor      text NOT NULL CHECK (length(actor) BETWEEN 1 AND 200),
  -- Its database and number, such as production:7.
  token      text CHECK (length(token) <= 100),
  address    text CHECK (length(address) <= 100),
  request_id text CHECK (length(request_id) <= 200),
  -- No foreign key: a record outlives what it is about. NULL: of no tenant, or of several.
  tenant     bigint,
  action     text NOT NULL CHECK (length(action) BETWEEN 1 AND 100),
  subject    text NOT NULL CHECK (length(subject) <= 200),
  before     jsonb CHECK (length(before::text) <= 65536),
  after      jsonb CHECK (length(after::text) <= 65536)
);
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_by_tenant ON audit_log (tenant, at) WHERE tenant IS NOT NULL;

CREATE FUNCTION audit_log_is_only_added_to() RETURNS trigger AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.at < nullif(current_setting('ecpmon.audit_until', true), '')::timestamptz THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION 'the audit log is only added to' USING HINT = 'Retention alone takes away what is old.';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER audit_log_is_only_added_to BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION audit_log_is_only_added_to();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_only_added_to();
