"""The changes between two states say all of it: applied to the JSON of the first they give that of the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from cluster_kube import DEPLOYMENTS, HPAS, PODS, TENANT, autoscaler, cluster, deployment, gone, put, remove
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_cluster import T0, fail, later, running, spec

from ecpmon.errors import Conflict
from ecpmon.simulator.journal import apply, changes, kinds_of
from ecpmon.simulator.model import kube
from ecpmon.simulator.model.commands import delete_tenant, end_failures, put_external, put_tenant, write_past
from ecpmon.simulator.model.document_draft import MAX_TOMBSTONES
from ecpmon.simulator.model.restarts import restart_tenant
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.times import HOUR, SECOND

NAMESPACES = ("shop", "ecp-ai-acme")
TENANTS = ("acme", "other")
EMPTY = new_state(1, T0)


def _json(state: ClusterState) -> Any:
    return orjson.loads(orjson.dumps(state))


def _follow(document: Any, before: ClusterState, after: ClusterState) -> bytes:
    """Move `document` from one state to the next, over the text that a journal holds; that text."""
    line = orjson.dumps(changes(before, after))
    apply(document, orjson.loads(line))
    assert orjson.dumps(document) == orjson.dumps(after)
    return line


waits = st.tuples(st.just("wait"), st.sampled_from([1, SECOND, 17 * SECOND, 400 * SECOND, 2 * HOUR]))
objects = st.tuples(
    st.sampled_from(["put", "remove"]),
    st.sampled_from(NAMESPACES),
    st.sampled_from([DEPLOYMENTS, "configmaps", "services", HPAS]),
    st.integers(1, 5),
)
tenants = st.tuples(st.sampled_from(["deploy", "delete"]), st.sampled_from(TENANTS), st.integers(1, 4))
others = st.tuples(
    st.sampled_from(["fail", "end", "external", "past", "restart"]),
    st.sampled_from(TENANTS),
    st.integers(0, 3),
)
pods = st.tuples(st.just("pod"), st.integers(0, 9))
closings = st.tuples(st.just("close"), st.integers(0, 5))
MOVES = st.lists(st.one_of(waits, objects, tenants, others, pods, closings), max_size=20)
FAILURES = ("pod_crash", "node_down", "full_outage", "memory_leak")


def _moved(state: ClusterState, move: tuple[Any, ...]) -> ClusterState:
    match move:
        case "wait", micros:
            return later(state, micros / SECOND)
        case ("put" | "remove") as verb, namespace, resource, number:
            if gone(state, "namespaces", namespace, ""):
                return put(state, "namespaces", namespace, {}, "")
            return _write(state, verb, namespace, resource, number)
        case "pod", number:
            found = list(state.pods.values())
            if not found:
                return state
            meta = found[number % len(found)].meta
            return remove(state, PODS, meta.name, meta.namespace)
        case "close", namespace:
            return (
                state
                if gone(state, "namespaces", namespace, "")
                else remove(state, "namespaces", namespace, "")
            )
        case verb, tenant, number:
            return _commanded(state, verb, tenant, number)
    raise AssertionError(move)


def _write(state: ClusterState, verb: str, namespace: str, resource: str, number: int) -> ClusterState:
    if verb == "remove":
        return state if gone(state, resource, "web", namespace) else remove(state, resource, "web", namespace)
    bodies: dict[str, Any] = {
        DEPLOYMENTS: deployment(number, image=f"web:{number % 2}", labels=TENANT),
        "configmaps": {"data": {"number": str(number)}},
        "services": {"spec": {"selector": {"app": "web"}, "ports": [{"port": 80 + number}]}},
        HPAS: autoscaler(10 * number),
    }
    return put(state, resource, "web", bodies[resource], namespace)


def _commanded(state: ClusterState, verb: str, tenant: str, number: int) -> ClusterState:
    if verb == "deploy":
        return put_tenant(state, tenant, [spec(f"s{i}", number) for i in range(number)])
    if tenant not in state.tenants:
        return state
    if verb == "delete":
        return delete_tenant(state, tenant)
    if verb == "fail":
        return fail(state, FAILURES[number], 90, 0.7, tenant)
    if verb == "end":
        return end_failures(state, tenant)[0]
    if verb == "external":
        return put_external(state, tenant, f"source-{number}", {"mos": number / 3})
    if verb == "past":
        return write_past(state, tenant, state.now - number * HOUR)
    return restart_tenant(state, tenant, state.now)[0]


@settings(max_examples=120, deadline=None)
@given(MOVES)
def test_a_snapshot_and_its_changes_are_the_last_state_byte_for_byte(moves: list[tuple[Any, ...]]) -> None:
    first = state = put_tenant(cluster(nodes=2), "acme", [spec(replicas=2), spec("stt", 2, gpu=1)])
    document, at_once = _json(state), _json(state)
    for move in moves:
        try:
            after = _moved(state, move)
        except (Conflict, kube.Refused):
            continue  # of a closing namespace; a refused command changes nothing
        _follow(document, state, after)
        state = after
    # Nobody has to save every state: the change from the first to the last is one as well.
    _follow(at_once, first, state)


@given(st.permutations("abcdef"), st.integers(0, 6), st.permutations("abcdefgh"), st.integers(0, 8))
def test_mappings_keep_the_new_order(one: list[str], few: int, other: list[str], many: int) -> None:
    failures = {key: object() for key in "abcdefgh"}
    before, after = ({k: failures[k] for k in keys} for keys in (one[:few], other[:many]))
    old, new = (replace(EMPTY, tenants=made) for made in (before, after))
    change = changes(old, new)
    document: dict[str, Any] = {"tenants": dict(before)}
    apply(document, change)
    assert list(document["tenants"].items()) == list(after.items())


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.integers(0, 9), max_size=12))
def test_any_sequence_becomes_any_other(one: list[int], other: list[int]) -> None:
    old, new = (replace(EMPTY, pending=tuple(map(str, made))) for made in (one, other))
    document = {"pending": [str(number) for number in one]}
    apply(document, changes(old, new))
    assert document == {"pending": [str(number) for number in other]}


def test_nothing_changed_is_nothing_and_time_alone_is_one_number() -> None:
    state = running()
    assert changes(state, state) == {}
    assert changes(state, replace(state)) == {}
    after = later(state, 1)
    assert changes(state, after) == {"now": after.now}


def test_what_is_written_does_not_grow_with_what_is_there() -> None:
    """One small apply, with little and with much in the cluster and a full list of deletions."""
    small = cluster()
    large = put(small, "configmaps", "large", {"data": {"text": "x" * 400_000}})
    for number in range(20):
        large = put_tenant(large, f"t{number}", [spec(replicas=3)])
    many = tuple((number, f"pods default pod-{number}") for number in range(MAX_TOMBSTONES))
    large = replace(later(large, 60), tombstones=many)
    lengths = []
    for before in (small, large):
        after = put(before, "configmaps", "one", {"data": {"a": "b"}})
        again = remove(after, "configmaps", "one")
        document = _json(before)
        lengths.append([len(_follow(document, before, after)), len(_follow(document, after, again))])
    assert lengths[1][0] < lengths[0][0] + 20
    assert lengths[1][1] < lengths[0][1] + 60
    assert max(lengths[1]) < 1000


def test_an_event_of_the_heap_does_not_rewrite_the_heap() -> None:
    state = new_state(1, T0, nodes=40)
    for number in range(60):
        state = put_tenant(state, f"t{number}", [spec(startup=100 + number)])
    assert len(state.events) > 150
    popped = replace(state, events=state.events[1:2] + state.events[-1:] + state.events[2:-1])
    assert len(orjson.dumps(changes(state, popped))) < 500


def test_a_younger_field_is_not_in_an_older_document() -> None:
    before = cluster()
    after = replace(before, recommendations={"a/b": ((5, 2),)}, pending=("a/c",))
    document = _json(before)
    del document["recommendations"], document["pending"]
    apply(document, orjson.loads(orjson.dumps(changes(before, after))))
    assert document["recommendations"] == {"a/b": [[5, 2]]}
    assert document["pending"] == ["a/c"]


@dataclass(frozen=True)
class _Known:
    number: int
    names: tuple[str, ...]
    by_name: Mapping[str, int]
    by_both: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class _Numbered:
    by_number: Mapping[int, str]


@dataclass(frozen=True)
class _Pair:
    pair: tuple[int, int]


@dataclass(frozen=True)
class _Absent:
    perhaps: int | None


def test_a_field_that_the_journal_cannot_tell_is_an_error_at_once() -> None:
    assert list(kinds_of(_Known).values()) == ["scalar", "sequence", "mapping", "nested"]
    for state in (_Numbered, _Pair, _Absent):
        with pytest.raises(TypeError, match="journal does not know"):
            kinds_of(state)
