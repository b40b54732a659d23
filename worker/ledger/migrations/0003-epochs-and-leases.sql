-- Epochs of a service only rise; each names who may write in it. Leases say which process looks after a service now,
-- by this database's clock alone.

CREATE TABLE ledger.epochs (
  service  text NOT NULL,
  epoch    integer NOT NULL CHECK (epoch > 0),
  holder   text NOT NULL,
  run_id   text,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (service, epoch)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.epochs
  FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();

CREATE TABLE ledger.leases (
  service    text PRIMARY KEY,
  owner      text NOT NULL,
  -- rises by one each time the lease is taken anew, also by the same owner
  epoch      integer NOT NULL CHECK (epoch > 0),
  expires_at timestamptz NOT NULL
);
