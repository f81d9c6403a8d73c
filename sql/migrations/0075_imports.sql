-- History that was imported (`ecpmon import`): how far each import has got, so that it goes on from there, and of which stretches
-- of a tenant something came that way, which its statements say.
CREATE TABLE imports (
  -- What is imported and how, as a digest.
  source     text PRIMARY KEY CHECK (length(source) = 64),
  name       text NOT NULL CHECK (length(name) BETWEEN 1 AND 500),
  -- Bytes of a file, or milliseconds since 1970: everything before is stored.
  position   bigint NOT NULL,
  samples    bigint NOT NULL CHECK (samples >= 0),
  started_at timestamptz NOT NULL CHECK (started_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  ended_at   timestamptz CHECK (ended_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z')
);
CREATE TABLE imported (
  tenant  bigint PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  periods tstzmultirange NOT NULL
);
