-- Mean response times over 30 days, for lists of tenants; a job keeps them. Who has none has no row.
CREATE TABLE response_times (
  tenant bigint PRIMARY KEY REFERENCES tenants (id) ON DELETE CASCADE,
  mean   double precision NOT NULL,
  as_of  timestamptz NOT NULL
);
