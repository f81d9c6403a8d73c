"""Deployments through the Kubernetes API: rollouts as timelines, and what always holds during them."""

from __future__ import annotations

from typing import Any

import pytest
from cluster_kube import (
    DEPLOYMENTS,
    IMAGE,
    NS,
    PODS,
    REPLICA_SETS,
    cluster,
    condition,
    deployment,
    edit,
    get,
    gone,
    is_ready,
    pod_docs,
    put,
    reasons,
    remove,
    status,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sim_cluster import later

from ecpmon.simulator.model import kube
from ecpmon.simulator.model.state import ClusterState


def web(replicas: int = 4, **more: Any) -> ClusterState:
    return put(cluster(), DEPLOYMENTS, "web", deployment(replicas, **more))


def test_a_deployment_becomes_available() -> None:
    state = web()
    assert status(state)["unavailableReplicas"] == 4
    assert condition(get(state, DEPLOYMENTS, "web"), "Progressing")["reason"] == "NewReplicaSetCreated"
    state = later(state, 8)
    assert status(state)["availableReplicas"] == status(state)["updatedReplicas"] == 4
    document = get(state, DEPLOYMENTS, "web")
    assert condition(document, "Available")["reason"] == "MinimumReplicasAvailable"
    assert condition(document, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert document["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert {"ScalingReplicaSet"} == reasons(state, "Deployment")
    assert {"Scheduled", "Pulled", "Started"} == reasons(state, "Pod")


# seconds after the change: (all pods, pods of the new template, available ones), for 4 pods that start in 8 s
TIMELINES = {
    "one more, none less": (1, 0, {0: (5, 1, 4), 7.9: (5, 1, 4), 8: (5, 2, 4), 32: (4, 4, 4)}),
    "none more, one less": (0, 1, {0: (4, 1, 3), 8: (4, 2, 3), 32: (4, 4, 4)}),
    "all at once": ("100%", 0, {0: (8, 4, 4), 8: (4, 4, 4)}),
    "percentages round up and down": ("30%", "30%", {0: (6, 3, 3), 8: (4, 4, 3), 16: (4, 4, 4)}),
}


@pytest.mark.parametrize("sentence", TIMELINES)
def test_a_rolling_update(sentence: str) -> None:
    surge, unavailable, timeline = TIMELINES[sentence]
    state = later(web(surge=surge, unavailable=unavailable), 60)
    changed = edit(state, DEPLOYMENTS, "web", IMAGE, "web:2")
    for seconds, expected in timeline.items():
        found = status(later(changed, seconds))
        counts = (found["replicas"], found["updatedReplicas"], found.get("availableReplicas", 0))
        assert counts == expected, f"{seconds} s later"


def test_recreate_waits_until_the_old_pods_have_stopped() -> None:
    state = web()
    state = edit(state, DEPLOYMENTS, "web", "spec.strategy", {"type": "Recreate"})
    state = edit(later(state, 60), DEPLOYMENTS, "web", IMAGE, "web:2")
    assert status(state).get("replicas", 0) == 0
    assert all("deletionTimestamp" in p["metadata"] for p in kube.items(state, PODS, NS))
    assert status(later(state, 2))["updatedReplicas"] == 4
    assert status(later(state, 10))["availableReplicas"] == 4


def test_min_ready_seconds_delay_availability() -> None:
    state = web(minReadySeconds=20)
    assert (status(later(state, 27))["readyReplicas"], status(later(state, 27)).get("availableReplicas")) == (
        4,
        None,
    )
    assert status(later(state, 28))["availableReplicas"] == 4


@pytest.mark.parametrize(
    ("tag", "reason"),
    [("does-not-exist", "ImagePullBackOff"), ("crash", "CrashLoopBackOff"), ("never-ready", None)],
)
def test_a_bad_image_stops_the_rollout_and_the_old_template_brings_it_back(
    tag: str, reason: str | None
) -> None:
    state = later(web(), 60)
    good = get(state, DEPLOYMENTS, "web")["spec"]["template"]
    bad = edit(state, DEPLOYMENTS, "web", IMAGE, f"web:{tag}")
    for seconds in (1, 30, 300, 599):
        assert status(later(bad, seconds))["availableReplicas"] >= 3
        assert condition(get(later(bad, seconds), DEPLOYMENTS, "web"), "Progressing")["status"] == "True"
    late = later(bad, 620)
    assert condition(get(late, DEPLOYMENTS, "web"), "Progressing")["reason"] == "ProgressDeadlineExceeded"
    waiting = {
        p["status"]["containerStatuses"][0]["state"].get("waiting", {}).get("reason")
        for p in pod_docs(later(bad, 25))
        if not is_ready(p)
    }
    assert waiting == {reason}
    back = later(edit(late, DEPLOYMENTS, "web", "spec.template", good), 30)
    assert status(back)["availableReplicas"] == status(back)["updatedReplicas"] == 4
    assert condition(get(back, DEPLOYMENTS, "web"), "Progressing")["reason"] == "NewReplicaSetAvailable"
    revisions = {
        s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: s["spec"]["replicas"]
        for s in kube.items(back, REPLICA_SETS, NS)
    }
    assert revisions == {"2": 0, "3": 4}


def test_restarts_of_a_crashing_container_are_counted_and_remembered() -> None:
    state = later(put(cluster(), DEPLOYMENTS, "web", deployment(1, image="web:crash")), 100)
    (pod,) = pod_docs(state)
    (container,) = pod["status"]["containerStatuses"]
    assert container["restartCount"] >= 3
    assert container["lastState"]["terminated"]["exitCode"] == 1
    key = kube.ObjectKey(PODS, NS, pod["metadata"]["name"])
    assert "terminated" in kube.pod_log(state, key, since=None, tail=1, previous=True)[0]
    assert "BackOff" in reasons(state, "Pod")


def test_a_restart_replaces_every_pod_and_keeps_the_service_up() -> None:
    state = later(web(unavailable=0, surge=1), 60)
    before = {p["metadata"]["uid"] for p in pod_docs(state)}
    annotation = {"kubectl.kubernetes.io/restartedAt": "2026-09-21T00:00:00Z"}
    state = edit(state, DEPLOYMENTS, "web", "spec.template.metadata.annotations", annotation)
    for _ in range(60):
        state = later(state, 1)
        assert sum(is_ready(p) for p in pod_docs(state)) >= 4
    assert before.isdisjoint(p["metadata"]["uid"] for p in pod_docs(state))


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    state = edit(later(web(), 60), DEPLOYMENTS, "web", "spec.paused", True)
    state = edit(state, DEPLOYMENTS, "web", IMAGE, "web:2")
    state = later(edit(state, DEPLOYMENTS, "web", "spec.replicas", 6), 60)
    assert {p["spec"]["containers"][0]["image"] for p in pod_docs(state)} == {"web:1"}
    assert status(state)["availableReplicas"] == 6
    assert condition(get(state, DEPLOYMENTS, "web"), "Progressing")["reason"] == "DeploymentPaused"
    state = later(edit(state, DEPLOYMENTS, "web", "spec.paused", False), 120)
    assert {p["spec"]["containers"][0]["image"] for p in pod_docs(state)} == {"web:2"}


def test_history_is_as_long_as_its_limit() -> None:
    state = web(1, revisionHistoryLimit=2)
    for number in range(2, 8):
        state = later(edit(state, DEPLOYMENTS, "web", IMAGE, f"web:{number}"), 60)
    assert len(kube.items(state, REPLICA_SETS, NS)) == 3
    assert (
        get(state, DEPLOYMENTS, "web")["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "7"
    )


def test_generation_follows_the_spec_only_and_equal_content_changes_nothing() -> None:
    state = later(web(), 60)
    document = get(state, DEPLOYMENTS, "web")
    same, answer = kube.put(state, kube.ObjectKey(DEPLOYMENTS, NS, "web"), document)
    assert same is state
    assert answer == document
    labelled = edit(state, DEPLOYMENTS, "web", "metadata.labels.team", "a")
    assert get(labelled, DEPLOYMENTS, "web")["metadata"]["generation"] == 1
    assert later(labelled, 60).pods == later(state, 60).pods
    scaled = edit(labelled, DEPLOYMENTS, "web", "spec.replicas", 5)
    assert (
        get(scaled, DEPLOYMENTS, "web")["metadata"]["generation"] == status(scaled)["observedGeneration"] == 2
    )


def test_a_deleted_pod_terminates_and_is_replaced() -> None:
    state = later(web(), 60)
    victim = pod_docs(state)[0]["metadata"]["name"]
    state = remove(state, PODS, victim)
    assert "deletionTimestamp" in get(state, PODS, victim)["metadata"]
    assert len(pod_docs(state)) == 4
    state = later(state, 8)
    assert gone(state, PODS, victim)
    assert status(state)["availableReplicas"] == 4


def test_a_deleted_deployment_takes_all_along_or_leaves_it_orphaned() -> None:
    state = later(web(), 60)
    cascaded = later(remove(state, DEPLOYMENTS, "web"), 3)
    assert not any((cascaded.pods, cascaded.terminating, cascaded.replica_sets, cascaded.deployments))
    orphaned = later(remove(state, DEPLOYMENTS, "web", propagation="Orphan"), 60)
    (left,) = kube.items(orphaned, REPLICA_SETS, NS)
    assert "ownerReferences" not in left["metadata"]
    assert left["status"]["readyReplicas"] == 4
    grown = later(edit(orphaned, REPLICA_SETS, left["metadata"]["name"], "spec.replicas", 6), 60)
    assert len(pod_docs(grown)) == 6
    empty = later(remove(grown, REPLICA_SETS, left["metadata"]["name"]), 3)
    assert not pod_docs(empty)


def test_a_new_deployment_adopts_what_an_orphaning_deletion_left() -> None:
    """Same template: the same pods go on. Another: the adopted ones are rolled over, and can be gone back to."""
    orphaned = later(remove(later(web(), 60), DEPLOYMENTS, "web", propagation="Orphan"), 5)
    before = {pod["metadata"]["name"] for pod in pod_docs(orphaned)}
    same = later(put(orphaned, DEPLOYMENTS, "web", deployment(4)), 1)
    assert {pod["metadata"]["name"] for pod in pod_docs(same)} == before
    assert status(same)["availableReplicas"] == 4
    (owned,) = kube.items(same, REPLICA_SETS, NS)
    assert owned["metadata"]["ownerReferences"][0]["uid"] == get(same, DEPLOYMENTS, "web")["metadata"]["uid"]
    other = later(remove(same, DEPLOYMENTS, "web", propagation="Orphan"), 5)
    changed = deployment(4)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "web:9"
    rolled = later(put(other, DEPLOYMENTS, "web", changed), 200)
    assert not before & {pod["metadata"]["name"] for pod in pod_docs(rolled)}
    assert len(pod_docs(rolled)) == 4
    revision = "deployment.kubernetes.io/revision"
    found = sorted(rs["metadata"]["annotations"][revision] for rs in kube.items(rolled, REPLICA_SETS, NS))
    assert found == ["1", "2"]
    empty = later(remove(rolled, DEPLOYMENTS, "web"), 60)
    assert not any((empty.pods, empty.replica_sets, empty.deployments))


MOVES = st.lists(
    st.tuples(
        st.integers(0, 25_000),
        st.one_of(
            st.tuples(st.just(IMAGE), st.sampled_from(["web:1", "web:2", "web:3"])),
            st.tuples(st.just("spec.minReadySeconds"), st.sampled_from([0, 5])),
        ),
    ),
    min_size=1,
    max_size=5,
)
BOUNDS = st.sampled_from([0, 1, 2, "25%", "50%"])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), BOUNDS, BOUNDS, MOVES)
@example(1, 1, 0, [(8000, (IMAGE, "web:2")), (0, ("spec.minReadySeconds", 5))])
def test_a_rollout_stays_within_its_bounds(replicas: int, surge: Any, unavailable: Any, moves: list) -> None:
    state = later(web(replicas, surge=surge, unavailable=unavailable), 60)
    most, least = _bounds(replicas, surge, unavailable)
    for wait, (path, value) in [*moves, (90_000, (IMAGE, "web:9"))]:
        state = edit(state, DEPLOYMENTS, "web", path, value)
        for _ in range(max(1, wait // 1000)):
            found = status(state)
            assert found["replicas"] <= most
            ready = sum(is_ready(p) for p in pod_docs(state))
            assert ready >= least
            state = later(state, 1)
    state = later(state, 300)
    assert {p["spec"]["containers"][0]["image"] for p in pod_docs(state)} == {"web:9"}


def _bounds(replicas: int, surge: Any, unavailable: Any) -> tuple[int, int]:
    def count(value: Any, *, up: bool) -> int:
        if isinstance(value, str):
            whole, rest = divmod(int(value[:-1]) * replicas, 100)
            return whole + (up and rest > 0)
        return int(value)

    more, less = count(surge, up=True), count(unavailable, up=False)
    if not more and not less:
        less = 1
    return replicas + more, replicas - less
