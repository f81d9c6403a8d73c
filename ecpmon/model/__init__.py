"""Frozen values that every layer shares. Standard library and pydantic only."""
