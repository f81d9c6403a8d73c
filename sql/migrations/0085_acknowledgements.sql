-- Who has seen an alert and looks after it, while it stands: one person for each.
CREATE TABLE alert_acknowledgements (
  tenant   bigint NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  alert_id uuid NOT NULL,
  rule_id  uuid NOT NULL,
  said_by  text NOT NULL,
  at       timestamptz NOT NULL,
  note     text CHECK (length(note) BETWEEN 1 AND 1000),
  PRIMARY KEY (tenant, alert_id)
);
