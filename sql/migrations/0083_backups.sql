-- Backups that were made of this database (`ecpmon backup`), so that somebody is told when the last good one is too old.
CREATE TABLE backups (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The file's name, without its folder.
  file       text NOT NULL CHECK (length(file) BETWEEN 1 AND 300),
  -- The instant whose state it holds.
  taken_at   timestamptz NOT NULL CHECK (taken_at BETWEEN '1970-01-01T00:00:00Z' AND '2200-01-01T00:00:00Z'),
  ended_at   timestamptz NOT NULL CHECK (ended_at BETWEEN taken_at AND '2200-01-01T00:00:00Z'),
  bytes      bigint NOT NULL CHECK (bytes > 0),
  sha256     text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
  -- It was restored into a scratch database, and every table was the same.
  verified   boolean NOT NULL
);
CREATE INDEX backups_by_time ON backups (taken_at);
