-- Who says that the actor is who it is: the issuer of a signed token (OIDC). NULL: a token of our own, or none.
ALTER TABLE audit_log ADD COLUMN issuer text CHECK (length(issuer) <= 300);
