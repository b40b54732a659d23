/**
 * What Muster keeps inside a protected database: the schema `muster`. Every statement may be run again.
 *
 * The lease lies in UNLOGGED sequences rather than in a table, for three reasons. They are empty after a crash, on a
 * clone and on a fresh promotion, so a server that boots by itself is closed. Reading them ignores the transaction's
 * snapshot, so a long REPEATABLE READ transaction sees the lease of now. Renewing them a few times a second leaves no
 * dead rows, writes no WAL and never waits for a synchronous standby.
 */
export const schemaSql = `
CREATE SCHEMA IF NOT EXISTS muster;
REVOKE ALL ON SCHEMA muster FROM PUBLIC;

-- One row per writer. id > 0: written by the control plane with its clock. id < 0: probes of an agent, with its own.
CREATE TABLE IF NOT EXISTS muster.canary (id int PRIMARY KEY, seq bigint NOT NULL, written_at_ms bigint NOT NULL);

-- Where each promotion by Muster parted from the old history. Every transaction below first_xid came from there, and
-- those below oldest_xid had all ended by then.
CREATE TABLE IF NOT EXISTS muster.fork (
  timeline int PRIMARY KEY,
  parent_timeline int NOT NULL,
  fork_lsn pg_lsn NOT NULL,
  first_xid text NOT NULL,
  oldest_xid text,
  epoch bigint NOT NULL,
  from_site text NOT NULL,
  to_site text NOT NULL
);

CREATE UNLOGGED SEQUENCE IF NOT EXISTS muster.lease_epoch MINVALUE 0 START 0;
CREATE UNLOGGED SEQUENCE IF NOT EXISTS muster.lease_granted_ms MINVALUE 0 START 0;
CREATE UNLOGGED SEQUENCE IF NOT EXISTS muster.lease_deadline_ms MINVALUE 0 START 0;

-- The lease in readable form; no row when none is held.
CREATE OR REPLACE VIEW muster.lease AS
  SELECT e.last_value AS epoch,
         to_timestamp(g.last_value / 1000.0) AS granted_at,
         to_timestamp(d.last_value / 1000.0) AS deadline
  FROM muster.lease_epoch e, muster.lease_granted_ms g, muster.lease_deadline_ms d
  WHERE d.last_value > 0;

-- Both ends are times of this host's clock. The second's grace is for a clock that was set back a little.
CREATE OR REPLACE FUNCTION muster.check_lease() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE now_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
  PERFORM 1 FROM muster.lease_granted_ms g, muster.lease_deadline_ms d
   WHERE now_ms BETWEEN g.last_value - 1000 AND d.last_value;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'muster: this site does not hold the writer''s lease' USING ERRCODE = '25006',
      HINT = 'Connect through the service''s entry: another site may hold the writer now.';
  END IF;
END $$;

-- Before each statement on a guarded table, and (by way of writer_session) once more when its transaction commits.
CREATE OR REPLACE FUNCTION muster.assert_lease() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM muster.check_lease();
  IF current_setting('muster.checked_at_commit', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
    PERFORM set_config('muster.checked_at_commit', pg_current_xact_id()::text, true);
    INSERT INTO muster.writer_session (pid) VALUES (pg_backend_pid())
      ON CONFLICT (pid) DO UPDATE SET turns = writer_session.turns + 1;
  END IF;
  RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION muster.assert_lease_at_commit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM muster.check_lease();
  RETURN NULL;
END $$;

-- A deferred trigger on a table of our own: on the users' tables it would forbid to alter them after a write in the
-- same transaction, as migrations do. One row per session, updated in place.
CREATE UNLOGGED TABLE IF NOT EXISTS muster.writer_session (pid int PRIMARY KEY, turns bigint NOT NULL DEFAULT 0)
  WITH (fillfactor = 50);
DO $$ BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = 'muster_lease_at_commit' AND tgrelid = 'muster.writer_session'::regclass) THEN
    CREATE CONSTRAINT TRIGGER muster_lease_at_commit AFTER INSERT OR UPDATE ON muster.writer_session
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION muster.assert_lease_at_commit();
  END IF;
  ALTER TABLE muster.writer_session ENABLE ALWAYS TRIGGER muster_lease_at_commit;
END $$;

CREATE OR REPLACE FUNCTION muster.guard_table(guarded regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER muster_lease BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
    || 'FOR EACH STATEMENT EXECUTE FUNCTION muster.assert_lease()', guarded);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER muster_lease', guarded);
END $$;

-- Ordinary and partitioned tables that belong to the users.
CREATE OR REPLACE VIEW muster.user_table AS
  SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'muster')
     AND n.nspname !~ '^pg_';

-- Only a superuser may take the checks off again: the owner of a table otherwise could.
CREATE OR REPLACE FUNCTION muster.keep_guard() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF current_setting('is_superuser') = 'on' THEN RETURN; END IF;
  IF tg_event = 'sql_drop' THEN
    PERFORM 1 FROM pg_event_trigger_dropped_objects()
     WHERE original AND object_type = 'trigger' AND object_identity LIKE 'muster_lease on %';
  ELSE
    PERFORM 1 FROM pg_event_trigger_ddl_commands() d JOIN pg_trigger t ON t.tgrelid = d.objid
     WHERE t.tgname = 'muster_lease' AND t.tgenabled <> 'A';
  END IF;
  IF FOUND THEN
    RAISE EXCEPTION 'muster: the lease check of a table may not be removed' USING ERRCODE = '42501';
  END IF;
END $$;

CREATE OR REPLACE FUNCTION muster.guard_new_table() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM muster.guard_table(t.name) FROM pg_event_trigger_ddl_commands() d JOIN muster.user_table t ON t.name::oid = d.objid;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA muster FROM PUBLIC;
GRANT EXECUTE ON FUNCTION muster.assert_lease() TO PUBLIC;

DROP EVENT TRIGGER IF EXISTS muster_keep_guard_alter;
CREATE EVENT TRIGGER muster_keep_guard_alter ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
  EXECUTE FUNCTION muster.keep_guard();
DROP EVENT TRIGGER IF EXISTS muster_keep_guard_drop;
CREATE EVENT TRIGGER muster_keep_guard_drop ON sql_drop WHEN TAG IN ('DROP TRIGGER', 'DROP OWNED')
  EXECUTE FUNCTION muster.keep_guard();
DROP EVENT TRIGGER IF EXISTS muster_guard_new_table;
`;

/** With `tables: '*'`: a table made later is guarded from the start. */
export const guardNewTablesSql = `
CREATE EVENT TRIGGER muster_guard_new_table ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
  EXECUTE FUNCTION muster.guard_new_table();
`;
