"""What a Kubernetes API server takes and what it refuses: types, defaults, rules.

Pure, and used by the simulator's admission and by the validation of manifests alike, so that they cannot
disagree. `checks` is the way in. Invariants:
- what `decoding` gives is well typed: no nulls, every field known and of its type; all rules rely on it;
- a rule yields `Cause`s whose `field` is the path that the real server names, and never raises;
- rules of an object alone: nothing here asks what else a cluster holds.
"""
