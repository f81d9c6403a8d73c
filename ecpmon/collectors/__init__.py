"""Collectors: one module per source; fetching (I/O) and parsing (pure) apart."""
