-- Who runs the jobs (docs/adr/0012-leadership-by-term.md). One row per role; of the installation, not of a tenant.
CREATE TABLE leadership (
  role       text PRIMARY KEY,
  -- Grows by one with every take-over, so that what was begun under an earlier one can be told.
  term       bigint NOT NULL DEFAULT 0 CHECK (term >= 0),
  -- A process, by a number it made at random. NULL: given back, so anybody may take over at once.
  holder     uuid,
  -- By this database's clock.
  renewed_at timestamptz NOT NULL DEFAULT clock_timestamp()
             CONSTRAINT leadership_renewed_at_readable CHECK (renewed_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  expires_at timestamptz NOT NULL DEFAULT clock_timestamp()
             CONSTRAINT leadership_expires_at_readable CHECK (expires_at BETWEEN '0001-01-01T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  CHECK (expires_at >= renewed_at),
  CHECK (holder IS NULL OR term > 0)
) WITH (fillfactor = 10);
INSERT INTO leadership (role) VALUES ('leader');

CREATE FUNCTION leadership_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'UPDATE' THEN
    RAISE EXCEPTION 'a role stays: its terms must never begin anew' USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.role <> OLD.role OR NEW.term < OLD.term THEN
    RAISE EXCEPTION 'the term of % only grows', OLD.role USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.holder IS NOT NULL AND NEW.holder IS DISTINCT FROM OLD.holder AND NEW.term = OLD.term THEN
    RAISE EXCEPTION 'a new holder of % needs a new term', OLD.role USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER leadership_guard BEFORE UPDATE OR DELETE ON leadership FOR EACH ROW EXECUTE FUNCTION leadership_guard();
CREATE TRIGGER leadership_stays BEFORE TRUNCATE ON leadership FOR EACH STATEMENT EXECUTE FUNCTION leadership_guard();

-- The two keys of the advisory lock of a role. A leader's transaction holds it shared, a take-over alone.
CREATE FUNCTION leadership_lock_class() RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1701015650';
CREATE FUNCTION leadership_lock(which text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT hashtext(which)';

-- Called first in every transaction of a leader: until its end nobody takes over, and if somebody has, it is refused.
CREATE FUNCTION check_leadership(which text, my_term bigint, me uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(leadership_lock_class(), leadership_lock(which));
  -- A statement of its own: it sees what was committed while we waited for the lock.
  PERFORM FROM leadership l WHERE l.role = which AND l.term = my_term AND l.holder = me;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'term % of % is over', my_term, which USING ERRCODE = 'EC001';
  END IF;
END
$$;

-- Expired, given back, or left by a clock that was far ahead.
CREATE FUNCTION leadership_is_free(l leadership, lasting interval) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT l.holder IS NULL OR l.expires_at <= clock_timestamp() OR l.expires_at > clock_timestamp() + 2 * lasting
$$;

-- End the transactions of a leader that is over. One whose process is frozen would stay open as long as that is.
CREATE FUNCTION end_leaders_transactions(which text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_terminate_backend(l.pid) FROM pg_locks l
  WHERE l.locktype = 'advisory' AND l.classid = leadership_lock_class()::oid AND l.objid = (leadership_lock(which)::bigint & 4294967295)::oid
    AND l.objsubid = 2 AND l.mode = 'ShareLock' AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
EXCEPTION WHEN insufficient_privilege THEN
  -- They are of another role of the database: waited for, as long as `lock_timeout`.
  RAISE LOG 'the transactions of the former % belong to another user', which;
END
$$;

-- Renew, or take over what is free. `mine`: `me` holds the role in `term` for `lasting` from now on.
CREATE FUNCTION keep_leadership(which text, me uuid, lasting interval, OUT term bigint, OUT mine boolean)
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
  found_row leadership;
BEGIN
  UPDATE leadership l SET renewed_at = clock_timestamp(), expires_at = clock_timestamp() + lasting
  WHERE l.role = which AND l.holder = me RETURNING l.term, true INTO term, mine;
  IF mine THEN
    RETURN;
  END IF;
  SELECT * INTO STRICT found_row FROM leadership l WHERE l.role = which;
  term := found_row.term;
  mine := false;
  IF NOT leadership_is_free(found_row, lasting) THEN
    RETURN;
  END IF;
  -- One takes over at a time; while the row is locked its holder cannot renew either.
  SELECT * INTO found_row FROM leadership l WHERE l.role = which FOR UPDATE SKIP LOCKED;
  IF found_row.role IS NULL OR NOT leadership_is_free(found_row, lasting) THEN
    RETURN;
  END IF;
  PERFORM end_leaders_transactions(which);
  PERFORM pg_advisory_xact_lock(leadership_lock_class(), leadership_lock(which));
  UPDATE leadership l
  SET term = l.term + 1, holder = me, renewed_at = clock_timestamp(), expires_at = clock_timestamp() + lasting
  WHERE l.role = which RETURNING l.term, true INTO term, mine;
END
$$;
