"""Deployers: where a tenant is brought to run."""
