"""A restart replaces every pod, one by one, and the same one again does nothing."""

from __future__ import annotations

import pytest
from sim_cluster import T0, fail, later, pods, ready, running, service, spec, truth_seconds

from ecpmon.errors import TenantNotFound
from ecpmon.simulator.model.restarts import restart_tenant


def uids(state: object, name: str = "callbot") -> set[str]:
    return {p.meta.uid for p in pods(state, name)}  # type: ignore[arg-type]


def test_every_pod_is_replaced_without_an_outage() -> None:
    before = running(spec(replicas=4), spec("redis", 2))
    after, count = restart_tenant(before, "acme", T0)
    assert count == 2
    done = later(after, 60)
    for name in ("callbot", "redis"):
        assert not uids(done, name) & uids(before, name)
        assert len(pods(done, name)) == len(pods(before, name))
        assert service(done, name).revision == service(before, name).revision + 1
    assert truth_seconds(done) == truth_seconds(before)


def test_the_same_stamp_again_changes_nothing() -> None:
    once, _ = restart_tenant(running(), "acme", T0)
    again, count = restart_tenant(later(once, 60), "acme", T0)
    assert (again, count) == (later(once, 60), 1)
    later_stamp, _ = restart_tenant(again, "acme", T0 + 1)
    assert later_stamp != again


def test_it_helps_a_pod_that_crashed_and_not_what_crashes_every_pod() -> None:
    for severity, helped in ((0.5, True), (1.0, False)):
        broken = later(fail(running(spec(replicas=1)), "pod_crash", 3600, severity), 5)
        assert ready(broken) is False
        assert ready(later(restart_tenant(broken, "acme", T0)[0], 60)) is helped


def test_an_unknown_tenant() -> None:
    with pytest.raises(TenantNotFound):
        restart_tenant(running(), "nobody", T0)
