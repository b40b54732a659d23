-- Figures: samples that watch takes all the time, and those of runs. The key makes sending a batch again harmless.

CREATE TABLE ledger.measurements (
  service    text NOT NULL,
  -- null for the samples of watch
  run_id     text,
  -- '' for the service as a whole
  resource   text NOT NULL,
  -- where it was taken; null for the control plane
  site       text,
  name       text NOT NULL,
  method     text NOT NULL,
  value      double precision,
  unit       text NOT NULL,
  confidence text NOT NULL CHECK (confidence IN ('measured', 'estimated', 'unknown')),
  taken_at_ms double precision NOT NULL,
  CONSTRAINT unknown_has_no_value CHECK ((value IS NULL) = (confidence = 'unknown')),
  UNIQUE NULLS NOT DISTINCT (service, run_id, resource, site, name, method, taken_at_ms)
);
CREATE INDEX measurements_by_time ON ledger.measurements (service, taken_at_ms);
CREATE INDEX measurements_by_run ON ledger.measurements (run_id) WHERE run_id IS NOT NULL;
