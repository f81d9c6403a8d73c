"""The embedded stack: fetch, configure and supervise TimescaleDB, Prometheus and Alertmanager."""
