"""History: plausible, repeatable, and exactly what the truth says."""

from __future__ import annotations

import pytest
from sim_cluster import T0, later, running, spec

from ecpmon.simulator.model.commands import put_tenant, write_past
from ecpmon.simulator.model.past import Observed, observations, timeline
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.tenants import Tenant
from ecpmon.simulator.model.times import DAY, HOUR, MINUTE, SECOND
from ecpmon.simulator.model.truth import Interval, clip, down_seconds, intervals, record, state_at


def _two() -> ClusterState:
    state = put_tenant(
        running(spec("callbot"), spec("nlp", 2), tenant="first"), "second", [spec("stt", 2, gpu=1)]
    )
    return later(state, 600)


def _lines(state: ClusterState, tenant: Tenant, days: int, interval: int = 10 * MINUTE) -> list[Observed]:
    assert tenant.past is not None
    start = state.now - days * DAY
    return list(observations(state.seed, tenant, tenant.past, start, state.now, interval))


def _downtime(state: ClusterState, name: str, days: int) -> float:
    pieces = clip(timeline(state.seed, state.tenants[name]), state.now - days * DAY, state.now, state.now)
    return down_seconds(pieces, state.now) / 60


@pytest.mark.parametrize("seed", range(1, 30))
def test_the_first_tenant_meets_its_target_and_the_second_has_burned_most(seed: int) -> None:
    state = running(spec(), tenant="first", seed=seed)
    state = later(put_tenant(state, "second", [spec()]), 60)
    for name in ("first", "second"):
        state = write_past(state, name, state.now - 30 * DAY)
    assert 40 <= _downtime(state, "first", 30) <= 60
    assert 173 <= _downtime(state, "second", 30) <= 200
    for name in ("first", "second"):
        downs = [i for i in timeline(state.seed, state.tenants[name]) if not i.up]
        assert all(i.end is not None and 2 * MINUTE <= i.end - i.start <= 40 * MINUTE for i in downs)
        assert all(i.end is not None and i.end < T0 - HOUR for i in downs)


def test_every_line_says_what_the_truth_says_and_metrics_agree() -> None:
    state = _two()
    for name in ("first", "second"):
        state = write_past(state, name, state.now - 40 * DAY)
        tenant = state.tenants[name]
        truth = timeline(state.seed, tenant)
        lines = _lines(state, tenant, 40, 2 * MINUTE)
        assert any(not line.ready for line in lines)
        for line in lines:
            assert state_at(truth, line.at) is line.ready
            assert line.at % MINUTE == 0
            if not line.ready:
                assert line.metrics["error_rate"] > 0.3


def test_more_history_repeats_what_was_written() -> None:
    state = write_past(_two(), "second", T0 - 7 * DAY)
    short = _lines(state, state.tenants["second"], 7)
    truth = timeline(state.seed, state.tenants["second"])
    state = write_past(state, "second", T0 - 65 * DAY)
    assert _lines(state, state.tenants["second"], 65)[-len(short) :] == short
    assert clip(timeline(state.seed, state.tenants["second"]), T0 - 7 * DAY, state.now, state.now) == truth
    assert write_past(state, "second", T0 - 7 * DAY) is state


def test_history_stays_as_written_when_the_services_change() -> None:
    state = write_past(_two(), "first", T0 - 7 * DAY)
    before = _lines(state, state.tenants["first"], 7)
    changed = put_tenant(state, "first", [spec("callbot", 9, sessions=4000)])
    assert _lines(changed, changed.tenants["first"], 7) == before


def test_past_and_live_truth_join_without_a_seam() -> None:
    state = write_past(_two(), "first", T0 - 3 * DAY)
    last = timeline(state.seed, state.tenants["first"])[-1]
    assert last.end is None
    assert last.start < T0


def test_history_of_a_tenant_that_was_never_ready_ends_now() -> None:
    state = later(put_tenant(new_state(1, T0), "acme", [spec()]), 2)
    state = later(write_past(state, "acme", state.now - DAY), 60)
    spans = timeline(state.seed, state.tenants["acme"])
    assert spans[-2].end == T0 + 2 * SECOND
    assert spans[-1].start == T0 + 8 * SECOND


TIMELINES = {
    "it begins with the first up": ([(5, False), (7, True)], ((7, True),)),
    "the same state again adds nothing": ([(1, True), (2, True)], ((1, True),)),
    "states of no length vanish": ([(1, True), (4, False), (4, True)], ((1, True),)),
    "a first up of no length vanishes": ([(1, True), (1, False), (3, True)], ((3, True),)),
    "changes alternate": ([(1, True), (4, False), (6, True)], ((1, True), (4, False), (6, True))),
}


@pytest.mark.parametrize("sentence", TIMELINES)
def test_recording(sentence: str) -> None:
    seen, expected = TIMELINES[sentence]
    truth: tuple[tuple[int, bool], ...] = ()
    for at, up in seen:
        truth = record(truth, at, up)
    assert truth == expected


def test_clipping_keeps_the_open_end_only_at_now() -> None:
    whole = intervals([([(10, True), (20, False), (30, True)], None)])
    assert clip(whole, 0, 100, 100)[-1] == Interval(30, None, True)
    assert clip(whole, 0, 50, 100)[-1] == Interval(30, 50, True)
    assert clip(whole, 15, 25, 100) == [Interval(15, 20, True), Interval(20, 25, False)]
    assert down_seconds(clip(whole, 15, 25, 100), 25) == 5 / SECOND
