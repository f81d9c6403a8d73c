"""`/resize`: pods that get more or less while they run."""

from __future__ import annotations

from typing import Any

import pytest

from ecpmon.simulator.kube.catalogue import CATALOGUE
from ecpmon.simulator.kube.checking import Write
from ecpmon.simulator.kube.patches import strategic_merge
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.resizing import resize
from ecpmon.simulator.kube.schemas import schema_of
from ecpmon.simulator.kube.status import ApiError
from ecpmon.simulator.kube.writing import create
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import SECOND

Document = dict[str, Any]
PODS = CATALOGUE.find("", "v1", "pods")
QUOTAS = CATALOGUE.find("", "v1", "resourcequotas")


def pod_in(state: ClusterState, name: str = "one", **container: Any) -> ClusterState:
    wanted = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    main = {"name": "main", "image": "web:1", "resources": wanted, **container}
    body = {"metadata": {"name": name}, "spec": {"containers": [main]}}
    assert PODS is not None
    return create(state, Target(PODS, "default"), body, Write("test"))[0]


def running(**container: Any) -> ClusterState:
    return step(pod_in(new_state(7, 1_000 * SECOND, nodes=1), **container), 60 * SECOND)


def resized(state: ClusterState, requests: Document | None, name: str = "one", **more: Any) -> ClusterState:
    resources = {**({} if requests is None else {"requests": requests}), **more}
    body = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    assert PODS is not None
    target = Target(PODS, "default", name, PODS.subresource("resize"))
    return resize(
        state, target, lambda old: strategic_merge(old, body, schema_of(target.resource)), Write("test")
    )[0]


def shown(state: ClusterState, name: str = "one") -> tuple[Document, dict[str, Document]]:
    """(the container's status, the pod's conditions about resizing)."""
    pod = cluster.get(state, cluster.ObjectKey("pods", "default", name))
    assert pod is not None
    conditions = {c["type"]: c for c in pod["status"]["conditions"] if "Resize" in c["type"]}
    return pod["status"]["containerStatuses"][0], conditions


def test_a_node_with_room_gives_at_once_and_has_applied_it_a_moment_later() -> None:
    state = running()
    used = state.nodes["node-1"].used.cpu_millicores
    asked = resized(state, {"cpu": "1500m"})
    container, conditions = shown(asked)
    assert container["resources"]["requests"]["cpu"] == "1"
    assert container["allocatedResources"]["cpu"] == "1500m"
    assert list(conditions) == ["PodResizeInProgress"]
    assert asked.nodes["node-1"].used.cpu_millicores == used + 500
    container, conditions = shown(step(asked, 2 * SECOND))
    assert (container["resources"]["requests"]["cpu"], container["restartCount"]) == ("1500m", 0)
    assert not conditions


def test_what_no_node_has_is_infeasible_and_what_is_taken_is_put_off_until_it_is_free() -> None:
    state = running(resources={"requests": {"cpu": "1"}})
    huge = step(resized(state, {"cpu": "200"}), 60 * SECOND)
    container, conditions = shown(huge)
    assert conditions["PodResizePending"]["reason"] == "Infeasible"
    assert "cpu, requested: 200000, capacity: 96000" in conditions["PodResizePending"]["message"]
    assert container["resources"]["requests"]["cpu"] == "1"
    filled = step(pod_in(state, "other", resources={"requests": {"cpu": "94"}}), 60 * SECOND)
    waiting = step(resized(filled, {"cpu": "3"}), 30 * SECOND)
    assert shown(waiting)[1]["PodResizePending"]["reason"] == "Deferred"
    freed, _ = cluster.remove(waiting, cluster.ObjectKey("pods", "default", "other"))
    assert shown(step(freed, 30 * SECOND))[0]["resources"]["requests"]["cpu"] == "3"


def test_a_container_is_started_again_where_its_policy_says_so() -> None:
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    state = running(resizePolicy=policy)
    assert shown(step(resized(state, {"cpu": "1500m"}), 5 * SECOND))[0]["restartCount"] == 0
    assert shown(step(resized(state, {"memory": "1536Mi"}), 5 * SECOND))[0]["restartCount"] == 1


def test_a_quota_counts_what_is_more() -> None:
    assert QUOTAS is not None
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"requests.cpu": "1200m"}}}
    state, _ = create(running(), Target(QUOTAS, "default"), quota, Write("test"))
    with pytest.raises(cluster.Refused, match=r"exceeded quota: few, requested: requests\.cpu=500m"):
        resized(state, {"cpu": "1500m"})
    assert shown(resized(state, {"cpu": "1100m"}))[1]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another quality of service": (
        {"requests": {"cpu": "2", "memory": "2Gi"}}, "Pod QOS Class may not change as a result of resizing"
    ),
    "more than the limit": ({"requests": {"cpu": "3"}}, "must be less than or equal to cpu limit"),
    "a request taken away": ({"requests": {"cpu": None}, "limits": {"cpu": None}}, "cannot be removed"),
    "other resources": (
        {"requests": {"ephemeral-storage": "1Gi"}}, "only cpu and memory resources are mutable"
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_no_resize_asks_for(sentence: str) -> None:
    resources, why = REFUSED[sentence]
    with pytest.raises(ApiError, match=why) as refused:
        resized(running(), resources.get("requests"), limits=resources.get("limits", {}))
    assert refused.value.code == 422
