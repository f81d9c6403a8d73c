-- Status pages for a tenant's customers: whether anybody may look, and the links that were given out.

CREATE TABLE status_pages (
  tenant     bigint PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  public     boolean NOT NULL,
  changed_at timestamptz NOT NULL
    CONSTRAINT status_pages_changed_at_readable CHECK (changed_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  changed_by text NOT NULL
);

-- A link is signed, and follows from this row and a secret that is not here: it cannot be read out of the table.
CREATE TABLE status_links (
  tenant       bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  number       integer NOT NULL CHECK (number > 0),
  label        text NOT NULL CHECK (length(label) <= 200),
  created_at   timestamptz NOT NULL
    CONSTRAINT status_links_created_at_readable CHECK (created_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  created_by   text NOT NULL,
  -- In whole seconds, as the link says it.
  expires_at   timestamptz NOT NULL
    CONSTRAINT status_links_expires_at_readable CHECK (expires_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  withdrawn_at timestamptz
    CONSTRAINT status_links_withdrawn_at_readable CHECK (withdrawn_at BETWEEN '0001-01-02T00:00:00Z' AND '9999-12-31T00:00:00Z'),
  withdrawn_by text,
  PRIMARY KEY (tenant, number),
  CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL))
);
