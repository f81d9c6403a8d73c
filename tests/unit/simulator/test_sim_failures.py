"""Each failure has its stated effect, keeps to it, and ends cleanly."""

from __future__ import annotations

import pytest
from sim_cluster import fail, later, pods, ready, running, service, spec, truth_seconds

from ecpmon.errors import Conflict, Forbidden, ValidationFailed
from ecpmon.simulator.model.commands import end_failures, inject, put_tenant
from ecpmon.simulator.model.failures import CATALOGUE, FailureType, Reach, leak_period
from ecpmon.simulator.model.pods import PodPhase
from ecpmon.simulator.model.scenarios import MAX_FAILURES, FailureOrder, parse_scenarios
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND
from ecpmon.simulator.model.view import phase_counts, ready_capacity, tenant_metrics, use_by_node

GPU_TENANT = (spec("callbot", 3), spec("stt", 2, gpu=1))

# what is said: services, failure, severity, duration, the truth after T0 in seconds (failures start at 60)
UP = (8.0, True)
TRUTHS = {
    "a full outage is down exactly as long as it lasts": (
        (spec(),), "full_outage", 0.2, 90.5, [UP, (60.0, False), (150.5, True)],
    ),
    "a partition is over at its end, without start-up time": (
        (spec(),), "network_partition", 0.1, 30, [UP, (60.0, False), (90.0, True)],
    ),
    "one crashed pod of several is not an outage": ((spec(replicas=3),), "pod_crash", 0.3, 120, [UP]),
    "even a severe crash below 1 leaves one pod": ((spec(replicas=3),), "pod_crash", 0.99, 120, [UP]),
    "a crash of every pod ends with the start-up time": (
        (spec(replicas=3),), "pod_crash", 1.0, 120, [UP, (60.0, False), (188.0, True)],
    ),
    "the only pod of a service has nobody beside it": (
        (spec(replicas=1),), "pod_crash", 0.1, 120, [UP, (60.0, False), (188.0, True)],
    ),
    "a dead node is no outage when pods run elsewhere": ((spec(replicas=3),), "node_down", 0.1, 300, [UP]),
    "a service on the dead node alone is back on another after toleration and start-up": (
        (spec(replicas=1),), "node_down", 0.1, 300, [UP, (60.0, False), (98.0, True)],
    ),
    "a node that returns before the toleration restarts its pods": (
        (spec(replicas=1),), "node_down", 0.1, 20, [UP, (60.0, False), (88.0, True)],
    ),
    "a GPU failure takes the GPU services down": (
        GPU_TENANT, "gpu_failure", 1.0, 60, [UP, (60.0, False), (128.0, True)],
    ),
    "half of the GPU pods are not the service": (GPU_TENANT, "gpu_failure", 0.5, 60, [UP]),
    "a GPU failure means nothing without GPUs": ((spec(),), "gpu_failure", 1.0, 60, [UP]),
    "a CPU spike is no outage": ((spec(),), "cpu_spike", 1.0, 600, [UP]),
    "latency is no outage": ((spec(),), "network_latency", 1.0, 600, [UP]),
    "an error burst is no outage": ((spec(),), "error_burst", 1.0, 600, [UP]),
    "a memory leak is no outage": ((spec(replicas=2),), "memory_leak", 1.0, 3600, [UP]),
    "a memory leak spares the only pod": ((spec(replicas=1),), "memory_leak", 1.0, 3600, [UP]),
}  # fmt: skip


@pytest.mark.parametrize("sentence", TRUTHS)
def test_truth_of(sentence: str) -> None:
    services, kind, severity, seconds, truth = TRUTHS[sentence]
    state = fail(running(*services), kind, seconds, severity)
    assert truth_seconds(later(state, 7200)) == truth


@pytest.mark.parametrize("kind", list(FailureType))
def test_every_failure_ends_cleanly(kind: FailureType) -> None:
    calm = running(*GPU_TENANT)
    after = later(fail(calm, kind, 900, 1.0), 7200)
    assert not after.failures
    assert all(p.ready and p.phase is PodPhase.RUNNING for p in after.pods.values())
    assert len(after.pods) == 5
    assert all(node.ready for node in after.nodes.values())
    untouched = later(calm, 7200)
    for key, deployment in untouched.deployments.items():
        assert after.deployments[key].condition == deployment.condition
    ours, theirs = (tenant_metrics(s, s.tenants["acme"]) for s in (after, untouched))
    assert {k: v for k, v in ours.items() if k != "request_count"} == {
        k: v for k, v in theirs.items() if k != "request_count"
    }


EFFECTS = {
    "a CPU spike raises CPU and latency": ("cpu_spike", 0.9, {"cpu_usage": 15, "response_time": 20}),
    "latency is added in milliseconds": ("network_latency", 0.5, {"response_time": 499}),
    "an error burst fails its share of requests": ("error_burst", 0.4, {"error_rate": 0.39}),
    "a leak fills the memory": ("memory_leak", 0.5, {"memory_usage": 4}),
    "a full outage fails every request": ("full_outage", 1.0, {"error_rate": 0.99, "response_time": 4000}),
    "a partition fails the requests of its services": ("network_partition", 1.0, {"error_rate": 0.99}),
    "crashed pods load the others": ("pod_crash", 0.7, {"cpu_usage": 10, "response_time": 10}),
}


@pytest.mark.parametrize("sentence", EFFECTS)
def test_metrics_show_that(sentence: str) -> None:
    kind, severity, least_rise = EFFECTS[sentence]
    calm = running(spec(replicas=3))
    broken = later(fail(calm, kind, 600, severity), 120)
    before, now = (tenant_metrics(s, s.tenants["acme"]) for s in (later(calm, 120), broken))
    for metric, rise in least_rise.items():
        assert now[metric] - before[metric] >= rise, (metric, before[metric], now[metric])


def test_a_leak_kills_one_pod_at_a_time() -> None:
    state = fail(running(spec(replicas=3)), "memory_leak", 3600, 1.0)
    state = later(state, 601)
    killed = [p for p in pods(state) if not p.ready]
    assert len(killed) == 1
    assert "OOMKilled" in killed[0].message


def test_a_partition_takes_a_share_of_the_services() -> None:
    state = running(*(spec(f"svc{i}") for i in range(4)))
    state = fail(state, "network_partition", 60, 0.5)
    assert sum(d.condition.up == 0 for d in state.deployments.values()) == 2
    assert all(d.condition.alive == 3 for d in state.deployments.values())


def test_a_target_service_is_hit_alone() -> None:
    state = fail(running(spec("nlp"), spec("stt")), "full_outage", 60, target="stt")
    assert service(state, "nlp").condition.up == 3
    assert service(state, "stt").condition.up == 0
    with pytest.raises(ValidationFailed, match="no service"):
        fail(state, "full_outage", 60, target="tts")


def test_another_tenant_is_untouched() -> None:
    state = later(put_tenant(running(spec()), "other", [spec()]), 60)
    before = tenant_metrics(later(state, 10), state.tenants["other"])
    broken = later(fail(state, "full_outage", 60), 10)
    assert tenant_metrics(broken, broken.tenants["other"]) == before
    assert ready(broken, "other") is True


def test_ending_all_failures_now_recovers_now() -> None:
    state = later(fail(running(spec()), "full_outage", 600), 10)
    state, ended = end_failures(state, "acme")
    assert len(ended) == 1
    assert truth_seconds(later(state, 3600)) == [UP, (60.0, False), (70.0, True)]


def test_overlapping_outages_are_one_downtime() -> None:
    state = later(fail(running(spec()), "full_outage", 60), 30)
    state = later(fail(state, "network_partition", 60, 1.0), 600)
    assert truth_seconds(state) == [UP, (60.0, False), (150.0, True)]


def test_outages_that_touch_leave_no_moment_between_them() -> None:
    state = later(fail(running(spec()), "full_outage", 60), 60)
    assert ready(state) is True
    state = later(fail(state, "full_outage", 60), 600)
    assert truth_seconds(state) == [UP, (60.0, False), (180.0, True)]


def test_a_scenario_runs_by_itself() -> None:
    text = {"two": {"steps": [
        {"at": 30, "failure_type": "full_outage", "duration": 10},
        {"at": 100.5, "failure_type": "network_partition", "duration": 20, "severity": 1.0},
    ]}}  # fmt: skip
    steps = [order.as_step() for order in parse_scenarios(text)["two"].steps]
    state, made = inject(running(spec()), "acme", steps)
    assert [f.active for f in made] == [False, False]
    expected = [UP, (90.0, False), (100.0, True), (160.5, False), (180.5, True)]
    assert truth_seconds(later(state, 600)) == expected


def test_defaults_come_from_the_catalogue() -> None:
    order = FailureOrder(failure_type=FailureType.NODE_DOWN).as_step()
    assert order.duration == CATALOGUE[FailureType.NODE_DOWN].default_duration
    assert set(CATALOGUE) == set(FailureType)
    assert order.duration > SECOND


def test_a_new_pod_does_not_escape_a_total_crash() -> None:
    state: ClusterState = fail(running(spec(replicas=2)), "pod_crash", 300, 1.0)
    state = later(put_tenant(state, "acme", [spec(replicas=4)]), 60)
    assert not any(p.ready for p in pods(state))
    assert all(p.ready for p in pods(later(state, 600)))


@pytest.mark.parametrize("kind", FailureType)
def test_what_stays_within_its_tenant_changes_no_node_and_no_other_tenant(kind: FailureType) -> None:
    state = put_tenant(running(*GPU_TENANT), "beta", GPU_TENANT)
    state = later(state, 60)
    order = [FailureOrder(failure_type=kind, severity=1.0, duration_seconds=3600.0).as_step()]
    if CATALOGUE[kind].reach is Reach.CLUSTER:
        with pytest.raises(Forbidden):
            inject(state, "acme", order, Reach.TENANT)
        return
    before = ready_capacity(state)
    broken, _ = inject(state, "acme", order, Reach.TENANT)
    for seconds in (0, 60, 1800):
        broken = later(broken, seconds)
        assert ready_capacity(broken) == before
        assert ready(broken, "beta")
        assert all(p.ready for name in ("callbot", "stt") for p in pods(broken, name, "beta"))
    assert broken.tenants["beta"].truth == state.tenants["beta"].truth


def test_ending_a_tenants_failures_within_its_reach_leaves_the_others() -> None:
    state = fail(fail(running(spec()), "full_outage", 600), "node_down", 600, 1.0)
    state, ended = end_failures(state, "acme", Reach.TENANT)
    assert (len(ended), [f.failure_type for f in state.failures.values()]) == (1, [FailureType.NODE_DOWN])
    assert not any(n.ready for n in state.nodes.values() if n.meta.name in _dead(state))
    assert end_failures(state, "acme", Reach.TENANT) == (state, [])
    assert not end_failures(state, "acme")[0].failures


def _dead(state: ClusterState) -> tuple[str, ...]:
    return next(iter(state.failures.values())).nodes


def test_a_tenant_has_a_bounded_number_of_failures() -> None:
    order = FailureOrder(failure_type=FailureType.CPU_SPIKE).as_step()
    state = put_tenant(running(spec()), "beta", (spec(),))
    state, _ = inject(state, "acme", [order] * (MAX_FAILURES - 1))
    with pytest.raises(Conflict, match="at most"):
        inject(state, "acme", [order] * 2)
    state, _ = inject(state, "acme", [order])
    assert len(inject(state, "beta", [order])[1]) == 1


def test_what_tenants_use_adds_up_to_what_is_used() -> None:
    state = later(put_tenant(running(*GPU_TENANT), "beta", (spec(replicas=5, cpu=700),)), 60)
    both = frozenset(state.tenants)
    assert use_by_node(state, both) == use_by_node(state)
    assert phase_counts(state, both) == phase_counts(state)
    apart = [use_by_node(state, frozenset({name})) for name in both]
    assert {node: apart[0][node].plus(apart[1][node]) for node in state.nodes} == use_by_node(state)
    assert sum(sum(phase_counts(state, frozenset({name})).values()) for name in both) == len(state.pods)


def test_a_leak_however_slight_ends_at_an_instant_that_a_journal_holds() -> None:
    for severity in (5e-324, 1e-153, 1e-9):
        assert (
            fail(running(spec(replicas=3)), "memory_leak", 3600, severity).now + leak_period(severity) < 2**63
        )
