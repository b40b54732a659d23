-- What people decided, and what a run or watch found that somebody must look at.

CREATE TABLE ledger.approvals (
  run_id  text NOT NULL REFERENCES ledger.runs (id),
  step_id text NOT NULL,
  answer  text NOT NULL CHECK (answer IN ('approve', 'decline')),
  by_whom text NOT NULL,
  why     text NOT NULL,
  at_ms   double precision NOT NULL,
  UNIQUE (run_id, step_id, by_whom, answer, at_ms)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.approvals
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.findings (
  service  text NOT NULL,
  run_id   text,
  step_id  text,
  severity text NOT NULL CHECK (severity IN ('note', 'warning', 'critical')),
  what     text NOT NULL,
  at_ms    double precision NOT NULL,
  UNIQUE NULLS NOT DISTINCT (service, run_id, step_id, what, at_ms)
);
CREATE INDEX findings_by_run ON ledger.findings (run_id) WHERE run_id IS NOT NULL;
