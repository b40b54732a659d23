-- Every plan that was ever frozen, by its hash: what a run was started with can be shown next to what came after.

CREATE TABLE ledger.plan_versions (
  plan_hash        text PRIMARY KEY,
  service          text NOT NULL,
  kind             text NOT NULL,
  estate_hash      text NOT NULL,
  plan             json NOT NULL,
  first_seen_at_ms double precision NOT NULL
);
CREATE INDEX plan_versions_by_service ON ledger.plan_versions (service, first_seen_at_ms DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.plan_versions
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
