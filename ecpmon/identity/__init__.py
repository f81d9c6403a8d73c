"""Whom signed tokens (OIDC) name: the issuer's keys, what the tokens say, and which tenants that means here.

Imported only where an issuer is configured: the libraries for signatures are no part of a start without one.
"""
