-- Runs and their events. A run is opened once with the whole frozen plan; its events only grow, each carrying the hash
-- of the one before, and its end is sealed with a hash over the last event and the final state.

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'ledger.% is append only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TABLE ledger.runs (
  id             text PRIMARY KEY,
  -- Runs that belong together (failover, reprotect and failback of one game day) carry the same chain id.
  chain_id       text,
  scenario       text,
  service        text NOT NULL,
  kind           text NOT NULL,
  plan           json NOT NULL,
  plan_hash      text NOT NULL,
  estate_hash    text NOT NULL,
  software       text NOT NULL,
  opened_at_ms   double precision NOT NULL,
  -- Head of the event chain; the hash of seq 0 covers id, plan and estate.
  head_seq       integer NOT NULL DEFAULT 0,
  head_hash      text NOT NULL,
  outcome        text,
  finished_at_ms double precision,
  -- The run as the engine left it, without its plan.
  final          json,
  seal_hash      text,
  CONSTRAINT finished_as_a_whole CHECK (
    (final IS NULL) = (seal_hash IS NULL) AND (final IS NULL) = (finished_at_ms IS NULL)
    AND (final IS NULL) = (outcome IS NULL)
  )
);
CREATE INDEX runs_by_service ON ledger.runs (service, opened_at_ms DESC);
CREATE INDEX runs_by_chain ON ledger.runs (chain_id) WHERE chain_id IS NOT NULL;

CREATE FUNCTION ledger.guard_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.seal_hash IS NOT NULL THEN
    RAISE EXCEPTION 'run % is sealed: no change', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF (NEW.id, NEW.service, NEW.kind, NEW.plan::text, NEW.plan_hash, NEW.estate_hash, NEW.opened_at_ms)
    IS DISTINCT FROM (OLD.id, OLD.service, OLD.kind, OLD.plan::text, OLD.plan_hash, OLD.estate_hash, OLD.opened_at_ms) THEN
    RAISE EXCEPTION 'run % was opened with another plan: no change', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF NEW.head_seq < OLD.head_seq THEN
    RAISE EXCEPTION 'run %: the event chain only grows', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER guard_run BEFORE UPDATE ON ledger.runs FOR EACH ROW EXECUTE FUNCTION ledger.guard_run();
CREATE TRIGGER keep_runs BEFORE DELETE OR TRUNCATE ON ledger.runs
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- `json`, not `jsonb`: what was hashed must come back as it was, including characters that jsonb refuses.
CREATE TABLE ledger.events (
  run_id    text NOT NULL REFERENCES ledger.runs (id),
  seq       integer NOT NULL CHECK (seq > 0),
  at_ms     double precision NOT NULL,
  what      text NOT NULL,
  step_id   text,
  data      json NOT NULL,
  prev_hash text NOT NULL,
  hash      text NOT NULL,
  PRIMARY KEY (run_id, seq)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
