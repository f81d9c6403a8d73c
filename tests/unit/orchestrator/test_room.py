"""Quotas, maxima and rollouts: over random plans the quota admits whatever the cluster may start of a tenant."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ecpmon.errors import EcpError
from ecpmon.kube.amounts import quantity
from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.tuning import tuned
from tests.unit.orchestrator.rendering import of_kind, rendered, rendered_plan

AI = ("callbot", "chatbot", "advisor", "nlp", "stt", "tts")
_REQUIREMENTS = st.dictionaries(st.sampled_from(AI), st.integers(1, 120), min_size=1, max_size=4)
_AVAILABILITY = st.sampled_from(["98%", "99%", "99.5%", "99.9%"])
_SHARES = st.sampled_from([None, "0.25", "0.5"])


def plan_with(requirements: dict[str, int], availability: str, preset: str | None, share: str | None) -> Any:
    """With a `share` of a GPU a callbot takes a shared device: more of them are asked for than are granted."""
    catalogue = default_catalogue()
    if share is not None:
        spec = catalogue.services["callbot"].model_copy(update={"gpu_share": Decimal(share)})
        catalogue = catalogue.model_copy(update={"services": {**catalogue.services, "callbot": spec}})
    if "stt" in requirements:  # right-sized, as in the case that hung
        catalogue = tuned(catalogue, {"stt": {"cpu_request": "350m"}})
    return plan_tenant(requirements, SlaTarget(availability=availability), preset, catalogue)


def taken(deployment: dict[str, Any], pods: int) -> Counter[str]:
    """What so many pods of a Deployment take of a ResourceQuota."""
    found: Counter[str] = Counter()
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        for side in ("requests", "limits"):
            for name, value in container["resources"][side].items():
                found[f"{side}.{name}"] += quantity(value) * pods
    return found


@settings(max_examples=60, deadline=None)
@given(_REQUIREMENTS, _AVAILABILITY, st.sampled_from([None, "large"]), _SHARES)
def test_the_quota_admits_every_pod_at_the_maxima_while_any_one_deployment_rolls(
    requirements: dict[str, int], availability: str, preset: str | None, share: str | None
) -> None:
    try:
        plan = plan_with(requirements, availability, preset, share)
    except EcpError:
        assume(False)
    objects = rendered_plan(plan, requirements, availability)
    hard = {k: quantity(v) for k, v in of_kind(objects, "ResourceQuota")["ecp-quota"]["spec"]["hard"].items()}
    deployments, scalers = of_kind(objects, "Deployment"), of_kind(objects, "HorizontalPodAutoscaler")
    most = {
        name: scalers[name]["spec"]["maxReplicas"] if name in scalers else d["spec"]["replicas"]
        for name, d in deployments.items()
    }
    together: Counter[str] = Counter()
    for name, document in deployments.items():
        together += taken(document, most[name])
    for name, document in deployments.items():
        rolling = together + taken(document, document["spec"]["strategy"]["rollingUpdate"]["maxSurge"])
        assert {k: v for k, v in rolling.items() if k in hard and v > hard[k]} == {}, name
        update = document["spec"]["strategy"]["rollingUpdate"]
        assert update["maxSurge"] + update["maxUnavailable"] == 1


def test_the_case_that_hung_ends_a_pod_before_its_successor_begins() -> None:
    """`stt: 10, callbot: 1` at 99 %: CPU was left for a second pod of stt, memory was not."""
    plan = plan_with({"stt": 10, "callbot": 1}, "99.0%", None, None)
    surges = {s.service_name: s.surge for s in plan.services}
    assert plan.preset == "micro"
    assert surges == {"callbot": False, "stt": False, "nginx": True, "redis": False}
    assert any("no room for a second pod of callbot, stt" in reason for reason in plan.reasons)


def test_the_plan_says_that_the_maxima_give_and_the_quota_does_not() -> None:
    plan = plan_with(
        {"callbot": 50, "chatbot": 100, "advisor": 25, "stt": 30, "tts": 30}, "99.9%", None, None
    )
    [said] = [reason for reason in plan.reasons if reason.startswith("autoscaling: ")]
    assert "the quota stays what medium grants, so the maxima give: callbot" in said
    assert all(s.replicas <= s.max_replicas <= 2 * s.replicas for s in plan.services)
    alone = plan_with({"chatbot": 10}, "99%", "large", None)
    assert {s.service_name: s.max_replicas for s in alone.services if not s.spec.stateful} == {
        "chatbot": 2, "nginx": 2,
    }  # fmt: skip
    [said] = [reason for reason in alone.reasons if reason.startswith("autoscaling: ")]
    assert "give" not in said


def test_a_deployment_that_is_scaled_says_no_replicas_and_its_autoscaler_begins_at_the_plan() -> None:
    objects = rendered({"chatbot": 100, "redis": 10})
    scalers = of_kind(objects, "HorizontalPodAutoscaler")
    for name, document in of_kind(objects, "Deployment").items():
        assert ("replicas" in document["spec"]) is (name not in scalers), name
    assert scalers["chatbot"]["spec"]["minReplicas"] == 3
    assert "redis" not in scalers
    [budget] = [b for name, b in of_kind(objects, "PodDisruptionBudget").items() if name == "chatbot"]
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
