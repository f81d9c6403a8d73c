"""Alerts: condition grammar and state machine (pure), engine, outbox worker, notifiers."""
