-- Statements by e-mail: whom a tenant's go to, and what became of each.

CREATE TABLE statement_recipients (
  tenant       bigint PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  recipients   text[] NOT NULL CHECK (cardinality(recipients) BETWEEN 1 AND 20),
  -- Of what: month, quarter, year.
  periods      text[] NOT NULL CHECK (periods <@ '{month,quarter,year}' AND cardinality(periods) BETWEEN 1 AND 3),
  -- Whether revisions after the first are sent as well.
  restatements boolean NOT NULL,
  changed_at   timestamptz NOT NULL,
  changed_by   text NOT NULL
);

-- One row per revision and recipient, made in the transaction that closes the month: sent once.
CREATE TABLE statement_sendings (
  sending_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant          bigint NOT NULL,
  month           text NOT NULL,
  revision        integer NOT NULL,
  recipient       text NOT NULL CHECK (length(recipient) BETWEEN 3 AND 400),
  receiver        text NOT NULL GENERATED ALWAYS AS ('mailto:' || lower(recipient)) STORED,
  -- Of the Message-ID, the same in every try.
  message_key     uuid NOT NULL DEFAULT gen_random_uuid(),
  status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'parked')),
  attempts        integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  claimed_until   timestamptz,
  first_try_at    timestamptz,
  -- The server was given the message then, and it is not known whether it took it.
  handed_at       timestamptz,
  -- How often it was given once more after that.
  repeats         integer NOT NULL DEFAULT 0,
  finished_at     timestamptz,
  last_status     integer,
  last_reason     text,
  last_answer     text,
  resent_at       timestamptz,
  resent_by       text,
  UNIQUE (tenant, month, revision, recipient),
  FOREIGN KEY (tenant, month, revision) REFERENCES statements (tenant, month, revision) ON DELETE CASCADE,
  CHECK ((status = 'pending') = (finished_at IS NULL))
);
CREATE INDEX statement_sendings_due ON statement_sendings (tenant, receiver, next_attempt_at, sending_id)
  WHERE status = 'pending';
CREATE INDEX statement_sendings_by_tenant ON statement_sendings (tenant, sending_id DESC);

-- The driver cannot read years beyond 1 to 9999, and one such row fails the whole query.
DO $$
DECLARE
  it record;
BEGIN
  FOR it IN SELECT * FROM (VALUES
    ('statement_recipients', 'changed_at'), ('statement_sendings', 'created_at'), ('statement_sendings', 'next_attempt_at'),
    ('statement_sendings', 'claimed_until'), ('statement_sendings', 'first_try_at'), ('statement_sendings', 'handed_at'),
    ('statement_sendings', 'finished_at'), ('statement_sendings', 'resent_at')) AS c (t, c)
  LOOP
    EXECUTE format('ALTER TABLE %1$I ADD CONSTRAINT %3$I CHECK (%2$I BETWEEN %4$L AND %5$L)', it.t, it.c,
                   it.t || '_' || it.c || '_readable', '0001-01-01T00:00:00Z', '9999-12-31T00:00:00Z');
  END LOOP;
END
$$;
