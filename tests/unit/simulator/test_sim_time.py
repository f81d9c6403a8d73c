"""Determinism: the truth depends on seed, commands and their instants, and on nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cluster import T0, fail, later, running, service, spec

from ecpmon.simulator.model.commands import end_failures, put_tenant
from ecpmon.simulator.model.failures import FailureType
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import HOUR, SECOND, from_seconds
from ecpmon.simulator.model.traffic import traffic_at
from ecpmon.simulator.model.view import tenant_metrics
from ecpmon.simulator.snapshot import FORMAT, Snapshot, _parse

SERVICES = (spec("callbot", 3, startup=8.333333), spec("stt", 2, gpu=1, startup=21), spec("nlp", 1))
# seconds to wait, then what happens: a failure (type, seconds, severity), an end of all, or a change
MOVES = st.lists(
    st.tuples(
        st.integers(0, 400_000_000),
        st.one_of(
            st.tuples(
                st.sampled_from([t.value for t in FailureType]),
                st.integers(1, 900_000_000),
                st.sampled_from([0.1, 0.34, 0.5, 0.9, 1.0]),
            ),
            st.just("end"),
            st.tuples(st.just("scale"), st.integers(0, 6), st.just(0.0)),
        ),
    ),
    max_size=7,
)  # fmt: skip


def _play(moves: list, cut: random.Random | None) -> ClusterState:
    state = put_tenant(new_state(11, T0, nodes=3), "acme", SERVICES)
    for wait, move in [*moves, (3 * HOUR, "end")]:
        state = _walk(state, wait, cut)
        if move == "end":
            state, _ = end_failures(state, "acme")
        elif move[0] == "scale":
            state = put_tenant(state, "acme", (replace(SERVICES[0], replicas=move[1]), *SERVICES[1:]))
        else:
            state = fail(state, move[0], move[1] / SECOND, move[2])
    return _walk(state, HOUR, cut)


def _walk(state: ClusterState, span: int, cut: random.Random | None) -> ClusterState:
    end = state.now + span
    while cut is not None and state.now < end:
        state = step(state, min(end - state.now, cut.choice([1, 333_333, SECOND, 7 * SECOND, 600 * SECOND])))
    return step(state, end - state.now)


@settings(max_examples=80, deadline=None)
@given(MOVES, st.integers(0, 2**32))
def test_splitting_steps_changes_nothing(moves: list, cuts: int) -> None:
    class Bounded(random.Random):
        left = 400

        def choice(self, seq):
            self.left -= 1
            return super().choice(seq) if self.left > 0 else 3 * HOUR

    assert _play(moves, None) == _play(moves, Bounded(cuts))


@settings(max_examples=40, deadline=None)
@given(MOVES)
def test_the_truth_alternates_and_the_end_is_ready(moves: list) -> None:
    truth = _play(moves, None).tenants["acme"].truth
    assert truth[-1][1] is True
    for (a, up), (b, then) in pairwise(truth):
        assert a < b
        assert up is not then


def test_another_seed_is_another_cluster() -> None:
    one, two = running(spec(), seed=1), running(spec(), seed=2)
    assert set(one.pods) != set(two.pods)
    assert running(spec(), seed=1) == one


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5 * HOUR), min_size=2, max_size=12))
def test_counters_never_fall_and_do_not_depend_on_being_read(waits: list[int]) -> None:
    busy = running(spec(replicas=1, sessions=50))
    # One pod of a third of the capacity: saturated at the peak of the day, so that errors vary.
    deployment = service(busy)
    small = replace(deployment, pod_sessions=deployment.pod_sessions / 2)
    state = whole = replace(busy, deployments={deployment.meta.key: small})
    before = (0.0, 0.0)
    for wait in waits:
        state = step(state, wait)
        now = traffic_at(state.seed, service(state), state.now)
        assert now.requests >= before[0]
        assert now.errors >= before[1]
        assert now.errors <= now.requests
        before = (now.requests, now.errors)
    whole = step(whole, sum(waits))
    assert traffic_at(whole.seed, service(whole), whole.now) == traffic_at(
        state.seed, service(state), state.now
    )


def test_requests_are_the_integral_of_the_offered_rate() -> None:
    state = running(spec())
    start = traffic_at(state.seed, service(state), state.now).requests
    total, moment = 0.0, state
    for _ in range(360):
        moment = later(moment, 10)
        total += tenant_metrics(moment, moment.tenants["acme"])["network_rps"] * 10
    counted = traffic_at(moment.seed, service(moment), moment.now).requests - start
    assert abs(counted - total) < total * 0.01


def test_a_state_is_json_and_back() -> None:
    state = later(fail(running(*SERVICES), "node_down", 300), 10)
    back = _parse(orjson.dumps(Snapshot(FORMAT, 5, state)), Path()).state
    assert back == state
    assert later(back, 1000) == later(state, 1000)
    assert from_seconds(0.1) == 100_000
