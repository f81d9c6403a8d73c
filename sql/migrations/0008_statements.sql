-- Monthly statements: closed once; late data makes a new revision with a difference, never a change.
CREATE TABLE statements (
  tenant    bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  month     text NOT NULL CHECK (month ~ '^\d{4}-(0[1-9]|1[0-2])$'),
  revision  integer NOT NULL CHECK (revision >= 1),
  closed_at timestamptz NOT NULL,
  digest    text NOT NULL CHECK (length(digest) = 64),
  document  jsonb NOT NULL,
  -- What this revision changes against the one before; the first has none.
  changes   jsonb,
  PRIMARY KEY (tenant, month, revision),
  CHECK ((revision = 1) = (changes IS NULL))
);

CREATE FUNCTION statements_are_final() RETURNS trigger AS $$
BEGIN
  RAISE EXCEPTION 'a closed statement is not changed; store a restatement as a new revision';
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER statements_are_final BEFORE UPDATE ON statements
  FOR EACH ROW EXECUTE FUNCTION statements_are_final();
