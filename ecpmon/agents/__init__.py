"""What agents send: Prometheus remote write 1.0 and 2.0, OTLP metrics (docs/remote-write.md). Pure.

Invariants:
- A body is read whole before anything of it is stored: what is no message at all stores nothing.
- A series that is known is looked up by the bytes of its labels; no text of it is made.
- Everything that is left out is counted, by why.
"""
