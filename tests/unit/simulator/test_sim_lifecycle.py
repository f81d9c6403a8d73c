"""Deployment → ReplicaSet → Pod: start-up, crashes, roll-outs, placement."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cluster import T0, fail, later, pods, ready, running, service, spec, truth_seconds

from ecpmon.simulator.model.commands import delete_tenant, put_tenant
from ecpmon.simulator.model.objects import Resources
from ecpmon.simulator.model.pods import PodPhase
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.model.view import tenant_metrics


def test_a_tenant_is_ready_exactly_its_start_up_time_after_the_deployment() -> None:
    state = put_tenant(new_state(1, T0), "acme", [spec(startup=8.25)])
    assert ready(state) is None
    state = later(state, 3)
    assert {p.phase for p in pods(state)} == {PodPhase.RUNNING}
    assert not any(p.ready for p in pods(state))
    assert truth_seconds(later(state, 60)) == [(8.25, True)]


def test_the_truth_begins_with_the_slowest_service() -> None:
    state = running(spec("nlp", startup=3), spec("stt", startup=21))
    assert truth_seconds(state) == [(21.0, True)]


def test_objects_carry_kubernetes_metadata() -> None:
    state = running(spec())
    pod, deployment = pods(state)[0], service(state)
    (replica_set,) = state.replica_sets.values()
    assert pod.meta.namespace == "ecp-ai-acme"
    assert pod.meta.labels["ecp.ai/tenant"] == "acme"
    assert pod.meta.labels["ecp.ai/service"] == "callbot"
    assert [o.uid for o in pod.meta.owners] == [replica_set.meta.uid]
    assert [o.uid for o in replica_set.meta.owners] == [deployment.meta.uid]
    assert replica_set.replicas == 3
    assert len({p.meta.uid for p in pods(state)}) == 3


def test_the_same_deployment_again_changes_nothing() -> None:
    state = running(spec())
    assert put_tenant(state, "acme", [spec()]) is state


def test_a_service_that_is_being_added_is_not_down() -> None:
    state = put_tenant(running(spec()), "acme", [spec(), spec("nlp", gpu=9)])
    state = later(state, 600)
    assert truth_seconds(state) == [(8.0, True)]
    assert "4 Insufficient nvidia.com/gpu" in pods(state, "nlp")[0].message


def test_scaling_keeps_pods_and_removes_the_surplus() -> None:
    state = running(spec(replicas=3))
    before = {p.meta.uid for p in pods(state)}
    grown = later(put_tenant(state, "acme", [spec(replicas=5)]), 60)
    assert before < {p.meta.uid for p in pods(grown)}
    shrunk = put_tenant(grown, "acme", [spec(replicas=1)])
    assert len(pods(shrunk)) == 1
    assert ready(shrunk) is True


@pytest.mark.parametrize("replicas", [1, 2, 3, 7, 12])
def test_new_requests_roll_out_without_an_outage(replicas: int) -> None:
    state = running(spec(replicas=replicas))
    state = put_tenant(state, "acme", [spec(replicas=replicas, cpu=900)])
    least = replicas - replicas // 4
    for _ in range(400):
        state = later(state, 0.5)
        assert sum(p.ready for p in pods(state)) >= least
        assert len(pods(state)) <= replicas + -(-replicas // 4)
    assert {p.resources.cpu_millicores for p in pods(state)} == {900}
    assert len(pods(state)) == replicas
    assert truth_seconds(state) == [(8.0, True)]


def test_crashes_back_off_exponentially_and_count() -> None:
    state = fail(running(spec(replicas=2)), "pod_crash", 3600, 0.5)
    (victim,) = [p for p in pods(state) if not p.ready]
    assert victim.phase is PodPhase.CRASH_LOOP
    waits = []
    for _ in range(3600):
        pod = state.pods[victim.meta.key]
        if pod.phase is PodPhase.CRASH_LOOP and (not waits or waits[-1][0] != pod.backoff_step):
            waits.append((pod.backoff_step, int(pod.message.split()[1][:-1])))
        state = later(state, 0.9)
    assert [wait for _, wait in waits][:7] == [10, 20, 40, 80, 160, 300, 300]
    assert state.pods[victim.meta.key].restarts >= 7


def test_pods_of_a_service_spread_over_the_nodes() -> None:
    state = running(spec(replicas=8))
    assert set(Counter(p.node for p in pods(state)).values()) == {2}


def test_what_does_not_fit_waits_with_a_reason_until_there_is_room() -> None:
    state = put_tenant(new_state(1, T0, nodes=2), "big", [spec("stt", 2, gpu=8)])
    state = later(put_tenant(state, "acme", [spec("nlp", 1, gpu=1)]), 60)
    (pod,) = pods(state, "nlp")
    assert (pod.phase, pod.reason) == (PodPhase.PENDING, "Unschedulable")
    assert pod.message == "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    assert ready(state) is None
    state = later(delete_tenant(state, "big"), 8)
    assert ready(state) is True


def test_a_deleted_tenant_leaves_nothing_behind() -> None:
    state = fail(running(spec()), "node_down", 600)
    state = delete_tenant(later(state, 5), "acme")
    assert not any((state.tenants, state.deployments, state.replica_sets, state.pods, state.failures))
    assert all(node.ready and node.used == Resources() for node in state.nodes.values())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 9),
            st.integers(1, 60_000),
            st.integers(0, 5),
            st.integers(0, 30),
        ),
        max_size=8,
    )
)
def test_nodes_are_never_overcommitted(moves: list[tuple[int, int, int, int, int]]) -> None:
    state = new_state(3, T0, nodes=3)
    for tenant, replicas, cpu, gpu, wait in moves:
        state = put_tenant(state, f"t{tenant}", [spec("svc", replicas, cpu=cpu, gpu=gpu, memory_gib=90)])
        state = later(state, wait)
        _check_bookkeeping(state)


def _check_bookkeeping(state: ClusterState) -> None:
    for name, node in state.nodes.items():
        mine = [p.resources for p in state.pods.values() if p.node == name]
        total = Resources()
        for resources in mine:
            total = total.plus(resources)
        assert total == node.used
        assert total.cpu_millicores <= node.capacity.cpu_millicores
        assert total.memory_bytes <= node.capacity.memory_bytes
        assert total.gpu <= node.capacity.gpu
    assert {k for k, p in state.pods.items() if p.node is None} == set(state.pending)
    assert {key for keys in state.pods_of.values() for key in keys} == set(state.pods)


def test_states_are_values() -> None:
    state = running(spec())
    copy = later(state, 0)
    fail(state, "full_outage", 60)
    put_tenant(state, "acme", [spec(replicas=9)])
    assert state == copy


def test_time_does_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="backwards"):
        later(running(), -1)


def test_a_tenant_without_traffic_still_reads() -> None:
    state = running(spec(sessions=0, replicas=1))
    values = tenant_metrics(state, state.tenants["acme"])
    assert values["error_rate"] == 0.0
    assert values["request_count"] == 0
    assert state.now > T0 + SECOND
