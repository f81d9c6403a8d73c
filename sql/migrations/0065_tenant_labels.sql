-- What people tell tenants apart by: names and values, as in the API. Exclusions can select by them.
ALTER TABLE tenants ADD COLUMN labels jsonb NOT NULL DEFAULT '{}'
  CONSTRAINT tenants_labels CHECK (are_labels(labels) AND bytes_of_labels(labels) <= 16384);
