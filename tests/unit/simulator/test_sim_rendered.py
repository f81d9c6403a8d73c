"""What we render runs in the simulated cluster as it would in a real one: admitted, placed, begun, scaled."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from sim_cluster import T0, later

from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import ManifestOptions, render
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import plan_of
from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.writing import Write, create
from ecpmon.simulator.model import kube
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.times import HOUR

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SPACE = "ecp-ai-acme"
HPAS, BOT = "horizontalpodautoscalers.autoscaling", kube.ObjectKey("deployments.apps", SPACE, "chatbot")


def applied(requirements: dict[str, int], target: str, hour: int) -> ClusterState:
    """A new cluster with everything that is rendered for the tenant, as the API takes it."""
    promised = SlaTarget(availability=target)
    tenant = Tenant(
        key=1, tenant_id="acme", name=None, preset=plan_tenant(requirements, promised).preset, is_demo=False,
        status=TenantStatus.PENDING, service_requirements=requirements, resources=Resources(),
        sla_target=promised, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    state = new_state(7, T0 + hour * HOUR)
    for document in render(tenant, plan_of(tenant), ManifestOptions(include_ingress=True)):
        group = document["apiVersion"].rpartition("/")[0]
        kind = next(r for r in CATALOGUE.all if (r.group, r.kind) == (group, document["kind"]))
        space = document["metadata"].get("namespace", "") if kind.namespaced else ""
        state, _ = create(state, Target(kind, space), dict(document), Write("test"))
    return state


def scaler(state: ClusterState) -> dict[str, Any]:
    found = kube.get(state, kube.ObjectKey(HPAS, SPACE, "chatbot"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("requirements", "target", "hour"),
    [({"chatbot": 20}, "99.5%", 3), ({"callbot": 25, "chatbot": 50, "stt": 10}, "99.9%", 18)],
)
def test_all_of_it_runs_and_goes_up_to_its_maximum_when_asked_for_too_much(
    requirements: dict[str, int], target: str, hour: int
) -> None:
    state = later(applied(requirements, target, hour), 120)
    wanted = sum(d.spec.replicas for d in state.deployments.values())
    assert sum(pod.serving for pod in state.pods.values()) == wanted
    assert not [e for e in kube.items(state, "events", SPACE) if e["type"] == "Warning"]
    assert state.tenants["acme"].ready
    calm = scaler(state)
    assert calm["status"]["desiredReplicas"] == calm["spec"]["minReplicas"]
    document = orjson.loads(orjson.dumps(kube.get(state, BOT)))
    document["metadata"]["annotations"]["ecp.ai/sessions"] = "2000"
    busy = later(kube.put(state, BOT, document)[0], 600)
    assert scaler(busy)["status"]["desiredReplicas"] == scaler(busy)["spec"]["maxReplicas"]
    assert busy.deployments[f"{SPACE}/chatbot"].condition.alive == scaler(busy)["spec"]["maxReplicas"]
