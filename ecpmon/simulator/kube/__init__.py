"""The simulator's Kubernetes API: what kubectl, the official clients and Prometheus' discovery talk to.

`catalogue` says which resources exist; `reading`, `writing` and `watching` serve them; the cluster itself is
`ecpmon.simulator.model`. Paths of the core group share `/api/v1` with our own REST calls; no name clashes.
"""
