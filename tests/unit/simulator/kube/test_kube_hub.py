"""The log of changes: who hears what, from where, and who has to list again."""

from __future__ import annotations

import asyncio
import time

import pytest

from ecpmon.simulator.kube.hub import SNAPSHOTS, Hub
from ecpmon.simulator.kube.status import ApiError
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState, new_state
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import SECOND


def start() -> ClusterState:
    return new_state(7, 1_793_606_400 * SECOND)


def written(state: ClusterState, name: str, value: str) -> ClusterState:
    metadata = {"name": name, "namespace": "default"}
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
    return cluster.put(state, cluster.ObjectKey("configmaps", "default", name), document)[0]


def test_time_alone_is_no_news() -> None:
    hub = Hub(state := start())
    hub.publish(step(state, SECOND))
    assert hub.since(0) == ([], 0)
    assert hub.state.now == state.now + SECOND


def test_changes_are_told_once_in_order_with_what_was_before() -> None:
    state = start()
    hub = Hub(state)
    first = written(state, "a", "1")
    hub.publish(first)
    known = hub.state.revision
    second = written(first, "a", "2")
    hub.publish(second)
    after, _ = cluster.remove(second, cluster.ObjectKey("configmaps", "default", "a"))
    hub.publish(after)
    entries, end = hub.since(0)
    mine = [entry for entry in entries if entry.change.key.name == "a"]
    assert [entry.change.kind for entry in mine] == ["ADDED", "MODIFIED", "DELETED"]
    assert [entry.before and entry.before["data"]["value"] for entry in mine] == [None, "1", "2"]
    revisions = [entry.revision for entry in entries]
    assert revisions == sorted(revisions)
    later, _ = hub.since(hub.position_after(known))
    assert [entry.change.kind for entry in later if entry.change.key.name == "a"] == ["MODIFIED", "DELETED"]
    assert hub.since(end) == ([], end)


def test_who_knows_too_little_or_too_much_is_told() -> None:
    state = start()
    hub = Hub(state, length=3)
    old = hub.position
    for number in range(5):
        state = written(state, "a", str(number))
        hub.publish(state)
    for ask in (lambda: hub.position_after(1), lambda: hub.since(old)):
        with pytest.raises(ApiError) as refused:
            ask()
        assert (refused.value.code, refused.value.reason) == (410, "Expired")
    with pytest.raises(ApiError) as refused:
        hub.position_after(state.revision + 1)
    assert refused.value.code == 504
    assert len(hub.since(hub.position_after(state.revision - 1))[0]) == 1


def test_the_oldest_version_that_is_still_known_misses_nothing() -> None:
    """Walking the boundary: a version is either refused or every later change follows it."""
    state = start()
    hub = Hub(state, length=4)
    made = []
    for number in range(9):
        state = written(state, "a", str(number))
        hub.publish(state)
        made.append(state.revision)
    forgotten = []
    for revision in range(made[0] - 1, made[-1] + 1):
        later = [other for other in made if other > revision]
        try:
            entries, _ = hub.since(hub.position_after(revision))
        except ApiError:
            forgotten.append(len(later))
            continue
        assert [entry.revision for entry in entries] == later
    assert forgotten
    assert min(forgotten) > 4  # as long as the log holds all that came later, nobody is refused


def test_pages_remember_a_bounded_number_of_states() -> None:
    state = first = start()
    hub = Hub(state)
    hub.remember(first)
    for number in range(SNAPSHOTS):
        state = written(state, "a", str(number))
        hub.publish(state)
        if number == SNAPSHOTS // 2:
            assert hub.recall(first.revision) is first
        hub.remember(state)
    with pytest.raises(ApiError) as refused:
        hub.recall(first.revision)
    assert refused.value.code == 410


async def test_waiting_ends_with_news_with_closing_and_with_time() -> None:
    state = start()
    hub = Hub(state)
    waiting = asyncio.create_task(hub.news(30))
    await asyncio.sleep(0)
    hub.publish(written(state, "a", "1"))
    await waiting
    waiting = asyncio.create_task(hub.news(30))
    await asyncio.sleep(0)
    hub.close()
    await waiting
    before = time.monotonic()
    await hub.news(0.05)
    assert time.monotonic() - before > 0.04
