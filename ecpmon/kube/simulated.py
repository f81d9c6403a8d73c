"""A bound of the simulated cluster that a real one does not have.

Asked by the simulator before it stores an object and by the validation of manifests, so that what the one refuses
the other does not call compatible.
"""

from __future__ import annotations

from typing import Any, Final

MAX_REPLICAS: Final = 1000  # of one workload; a simulation has to hold them all


def too_many_pods(spec: dict[str, Any]) -> tuple[str, int, str] | None:
    """The field of a workload's spec that asks for more pods at once than a simulation holds, its value, and why."""
    for name in ("replicas", "parallelism"):
        found = spec.get(name)
        # A Job has no more pods at once than it needs to complete.
        if found is not None and not 0 <= min(found, spec.get("completions", found)) <= MAX_REPLICAS:
            return f"spec.{name}", found, f"must be between 0 and {MAX_REPLICAS} in this simulator"
    return None
