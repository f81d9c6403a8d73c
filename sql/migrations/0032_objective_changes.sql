-- What is counted or promised differently is told as other changes of a tenant are: the job evaluates only whom something has
-- changed of. Not the first observation, which the job itself notes for many tenants in one transaction.
CREATE TRIGGER tenant_changed AFTER INSERT OR DELETE OR UPDATE OF tenant, name, inherited, indicator, definition, retired_at
  ON objectives FOR EACH ROW EXECUTE FUNCTION tenant_changed_by_row();
