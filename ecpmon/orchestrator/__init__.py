"""Orchestrator: sizing and deployment of tenants."""
