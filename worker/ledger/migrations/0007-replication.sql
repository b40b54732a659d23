-- How far each replicated resource was behind, as its replication said of itself, and what a move found lost of it.

CREATE TABLE ledger.replication_figures (
  service      text NOT NULL,
  resource     text NOT NULL,
  from_site    text NOT NULL,
  to_site      text NOT NULL,
  epoch        integer NOT NULL,
  phase        text NOT NULL,
  -- null is unknown, never nothing
  oldest_pending_age_seconds double precision,
  backlog_objects            double precision,
  backlog_bytes              double precision,
  verified_watermark_ms      double precision,
  failed_objects             double precision,
  why          text,
  taken_at_ms  double precision NOT NULL,
  UNIQUE (service, resource, taken_at_ms)
);
CREATE INDEX replication_figures_by_resource ON ledger.replication_figures (service, resource, taken_at_ms DESC);

CREATE TABLE ledger.lost_objects (
  run_id        text NOT NULL,
  resource      text NOT NULL,
  object_key    text NOT NULL,
  -- what of it is missing: put, delete, tags, metadata
  operation     text NOT NULL,
  written_at_ms double precision NOT NULL,
  size_bytes    double precision NOT NULL,
  certainty     text NOT NULL CHECK (certainty IN ('lost', 'unproved')),
  PRIMARY KEY (run_id, resource, object_key)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.lost_objects
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
