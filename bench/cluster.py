"""What the simulated cluster costs: 200 tenants, 3,000 pods, one step a second, watched by a client.

    python -m bench.cluster                       200 tenants of 5 services with 3 replicas
    python -m bench.cluster --tenants 20 --seconds 60

Every tenant has an autoscaler, a quota and a Service per service, and every second tenant a failure. What
is measured is the time of this process (`process_time`), so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.commands import inject
from ecpmon.simulator.model.failures import FailureType
from ecpmon.simulator.model.manifests import manifest_of
from ecpmon.simulator.model.objects import Resources, ServiceSpec
from ecpmon.simulator.model.scenarios import ScenarioStep
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import MINUTE, SECOND
from ecpmon.simulator.snapshot import FORMAT, Snapshot

SERVICES, REPLICAS = 5, 3
_START = 1_790_000_000 * SECOND


def main() -> None:
    arguments = _arguments()
    state = new_state(1, _START, nodes=40)
    with _clocked("deploy everything", arguments.tenants):
        for number in range(arguments.tenants):
            state = deploy(state, f"t{number}", SERVICES)
        state = step(state, MINUTE)
    print(f"{len(state.pods)} pods, all ready: {all(t.ready for t in state.tenants.values())}")
    with _clocked("render every pod"):
        kube.items(state, "pods")
    with _clocked("render every pod again"):
        kube.items(state, "pods")
    for number in range(0, arguments.tenants, 2):
        order = ScenarioStep(FailureType.POD_CRASH, 10 * MINUTE, 0.5)
        state, _ = inject(state, f"t{number}", [order])
    _live(state, arguments.seconds)
    with _clocked("one snapshot"):
        size = len(orjson.dumps(Snapshot(FORMAT, 0, state)))
    print(f"snapshot: {size / 1e6:.1f} MB")
    _one_tenant()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=300)
    return parser.parse_args()


@contextmanager
def _clocked(what: str, count: int = 1) -> Iterator[None]:
    began = time.process_time()
    yield
    taken = (time.process_time() - began) * 1000
    each = f", {taken / count:.2f} ms each" if count > 1 else ""
    print(f"{what}: {taken:.1f} ms{each}")


def deploy(state: ClusterState, tenant: str, services: int) -> ClusterState:
    """A tenant as an orchestrator deploys it, through the Kubernetes API."""
    namespace = f"ecp-ai-{tenant}"
    labels = {"ecp.ai/tenant": tenant}
    state, _ = _put(state, "namespaces", "", namespace, {"metadata": {"labels": labels}})
    quota = {"spec": {"hard": {"requests.cpu": "100", "pods": "100"}}}
    state, _ = _put(state, "resourcequotas", namespace, "quota", quota)
    for number in range(services):
        name = f"svc{number}"
        spec = ServiceSpec(name, REPLICAS, Resources(500, 1024**3), 50, 8 * SECOND)
        selector = {"ecp.ai/service": name}
        service = {"spec": {"selector": selector, "ports": [{"port": 80, "targetPort": 8080}]}}
        state, _ = _put(state, "services", namespace, f"{name}-service", service)
        state, _ = _put(state, "deployments.apps", namespace, name, dict(manifest_of(spec, tenant)))
        state, _ = _put(state, "horizontalpodautoscalers.autoscaling", namespace, name, _autoscaler(name))
    return state


def _autoscaler(name: str) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 99}
    return {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": REPLICAS,
            "maxReplicas": 6,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
    }


def _put(
    state: ClusterState, resource: str, namespace: str, name: str, body: dict[str, Any]
) -> tuple[ClusterState, kube.Document]:
    metadata = {**(body.get("metadata") or {}), "name": name, "namespace": namespace}
    return kube.put(state, kube.ObjectKey(resource, namespace, name), {**body, "metadata": metadata})


def _live(state: ClusterState, seconds: int) -> None:
    """A step a second, with the changes that a watcher would be told."""
    stepping = watching = longest = 0.0
    count = 0
    clock: Callable[[], float] = time.process_time
    for _ in range(seconds):
        began = clock()
        after = step(state, SECOND)
        stepped = clock()
        count += len(kube.changes(state, after))
        told = clock()
        stepping, watching = stepping + stepped - began, watching + told - stepped
        longest = max(longest, told - began)
        state = after
    share = (stepping + watching) / seconds
    print(f"{seconds} s of real time: {100 * share:.2f} % of a core, longest second {longest * 1000:.0f} ms")
    print(
        f"  step {1000 * stepping / seconds:.2f} ms/s, changes {1000 * watching / seconds:.2f} ms/s, {count} changes"
    )


def _one_tenant() -> None:
    with _clocked("deploy a tenant of 10 services until it is ready"):
        state = deploy(new_state(1, _START), "one", 10)
        while not state.tenants["one"].ready:
            state = step(state, SECOND)


if __name__ == "__main__":
    main()
