-- What administrators set over HTTP. What is not in it is as the environment says; its history is in the audit log.
CREATE TABLE operating_settings (
  single     boolean PRIMARY KEY DEFAULT true CHECK (single),
  document   jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(document) = 'object' AND length(document::text) <= 16384),
  version    bigint NOT NULL DEFAULT 0,
  changed_at timestamptz CHECK (changed_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  changed_by text CHECK (length(changed_by) <= 200)
);
INSERT INTO operating_settings DEFAULT VALUES;

-- Every process hears of a change, whoever made it.
CREATE FUNCTION bus_settings_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM bus_tell('', 'settings', '{}', '{}');
  RETURN NULL;
END
$$;
CREATE TRIGGER bus_changed AFTER INSERT OR UPDATE OR DELETE ON operating_settings
  FOR EACH STATEMENT EXECUTE FUNCTION bus_settings_told();
