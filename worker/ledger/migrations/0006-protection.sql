-- What can be restored, what was proven of it, and every run that made or removed some of it.

CREATE TABLE ledger.protection_runs (
  id            text PRIMARY KEY,
  kind          text NOT NULL,
  service       text NOT NULL,
  resource      text NOT NULL,
  vault         text NOT NULL,
  started_at_ms double precision NOT NULL,
  ended_at_ms   double precision NOT NULL,
  outcome       text NOT NULL CHECK (outcome IN ('done', 'partial', 'failed', 'stopped')),
  failure       text,
  facts         json NOT NULL,
  started_by    text NOT NULL
);
CREATE INDEX protection_runs_by_subject ON ledger.protection_runs (service, resource, ended_at_ms DESC);
CREATE INDEX protection_runs_by_vault ON ledger.protection_runs (vault, kind, ended_at_ms DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.protection_runs
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.recovery_points (
  id          text PRIMARY KEY,
  service     text NOT NULL,
  resource    text NOT NULL,
  vault       text NOT NULL,
  status      text NOT NULL CHECK (status IN ('complete', 'partial')),
  taken_at_ms double precision NOT NULL,
  point       json NOT NULL
);
CREATE INDEX recovery_points_by_resource ON ledger.recovery_points (service, resource, taken_at_ms DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.recovery_points
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

-- A point that retention removed stays on record: a proof must not point to nothing.
CREATE TABLE ledger.removed_points (
  point_id      text PRIMARY KEY,
  run_id        text NOT NULL,
  removed_at_ms double precision NOT NULL
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.removed_points
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.restore_proofs (
  id          text PRIMARY KEY,
  point_id    text NOT NULL,
  service     text NOT NULL,
  resource    text NOT NULL,
  verdict     text NOT NULL CHECK (verdict IN ('proven', 'failed')),
  ended_at_ms double precision NOT NULL,
  proof       json NOT NULL
);
CREATE INDEX restore_proofs_by_point ON ledger.restore_proofs (point_id);
CREATE INDEX restore_proofs_by_resource ON ledger.restore_proofs (service, resource, ended_at_ms DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.restore_proofs
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
