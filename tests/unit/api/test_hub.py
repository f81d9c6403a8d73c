"""The hub: newest values win, memory is bounded, publishers never wait, endings reach every socket."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from socket_world import kept, session, tenant

from ecpmon.api.events import message_of_event
from ecpmon.api.hub import Feed, Hub
from ecpmon.api.sessions import TENANT_GONE, Admissions, Session, SocketLimits
from ecpmon.errors import Overloaded, TemporaryError, TooManySockets
from ecpmon.model.availability import SpanState
from ecpmon.model.ingest import IngestResult, StateChange
from ecpmon.model.samples import Frame, Sample, SeriesKey, Source
from ecpmon.ports.alerts import AlertEvent, ExternalAlert
from ecpmon.ports.samples import Latest
from ecpmon.wire import rfc3339

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
TYPES = {"cpu_usage": "cpu", "memory_usage": "memory", "gpu_usage": "gpu", "up": "sla"}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def frame(tenant_id: str, ts: datetime = NOW, **values: float) -> Frame:
    samples = [Sample(SeriesKey(TYPES.get(name, "custom"), name), value) for name, value in values.items()]
    return Frame(tenant_id, Source.PUSH, ts, tuple(samples))


def committed(*frames: Frame, changes: tuple[StateChange, ...] = ()) -> IngestResult:
    return IngestResult(len(frames), changes=changes, frames=frames)


def down(tenant_id: str, ts: datetime = NOW) -> StateChange:
    return StateChange(tenant_id, ts, SpanState.DOWN, SpanState.UP)


def event(tenant_id: str = "acme", number: int = 1, **changes: Any) -> AlertEvent:
    given = {
        "event_id": number, "tenant_id": tenant_id, "rule_id": "r", "alert_id": f"alert-{number}",
        "alert_name": "hot", "severity": "warning", "kind": "threshold", "from_state": "inactive",
        "to_state": "firing", "at": NOW, "value": 90.0, "threshold": 80.0, "metric": "cpu_usage",
        "reason": "fired_at_once", "message": "cpu is hot",
    }  # fmt: skip
    return AlertEvent(**{**given, **changes})


def external(tenant_id: str | None = "acme", **changes: Any) -> ExternalAlert:
    given = {
        "tenant_id": tenant_id, "fingerprint": "f1", "starts_at": NOW, "ends_at": None, "status": "firing",
        "alert_name": "Down", "severity": "critical", "labels": {}, "annotations": {"summary": "it is down"},
    }  # fmt: skip
    return ExternalAlert(**{**given, **changes})


# --- metrics ------------------------------------------------------------------------------------------------


def test_values_are_coalesced_to_the_newest_of_each_metric() -> None:
    hub = Hub()
    with hub.watch(session("acme")) as (feed, _):
        for second in range(1000):
            hub.samples_committed(committed(frame("acme", at(second), cpu_usage=second)))
        hub.samples_committed(committed(frame("acme", at(5), memory_usage=7)))
        assert feed.values() == {"cpu": 999.0, "memory": 7.0}
        assert feed.newest() == at(999)


@pytest.mark.parametrize(("second", "expected"), [(-1, 40.0), (0, 41.0), (1, 41.0)])
def test_late_data_never_replaces_newer_values(second: int, expected: float) -> None:
    """The same instant said again is a correction: it counts."""
    hub = Hub()
    with hub.watch(session("acme")) as (feed, _):
        hub.samples_committed(committed(frame("acme", NOW, cpu_usage=40)))
        hub.samples_committed(committed(frame("acme", at(second), cpu_usage=41)))
        assert feed.values() == {"cpu": expected}


def test_the_seed_fills_gaps_but_replaces_nothing_newer() -> None:
    feed = Feed("acme", 1)
    feed.absorb(frame("acme", NOW, cpu_usage=50))
    feed.seed([("cpu_usage", Latest(at(-10), "cpu", 1.0)), ("up", Latest(at(-10), "sla", 1.0))])
    assert feed.values() == {"cpu": 50.0, "up": 1.0}
    assert feed.seeded


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # Not by turns, as they come.
        ([("simulator", 0, 1.0), ("push", 1, 2.0)], 1.0),
        ([("push", 1, 2.0), ("simulator", 0, 1.0)], 1.0),
        ([("push", -200, 2.0), ("prometheus", -100, 3.0)], 3.0),
        ([("prometheus", -100, 3.0), ("push", -200, 2.0), ("push", -150, 4.0)], 3.0),
        ([("simulator", -300, 1.0), ("push", 0, 2.0)], 1.0),
        ([("simulator", -301, 1.0), ("push", 0, 2.0)], 2.0),
        ([("simulator", -301, 1.0), ("push", 0, 2.0), ("simulator", 0, 5.0)], 5.0),
    ],
)
def test_of_several_sources_the_evidence_is_told_while_it_speaks(
    said: list[tuple[str, float, float]], expected: float
) -> None:
    feed = Feed("acme", 1, lambda: NOW + timedelta(hours=1))
    feed.evidence(Source.SIMULATOR)
    for source, second, value in said:
        sample = Sample(SeriesKey("cpu", "cpu_usage"), value)
        feed.absorb(Frame("acme", Source(source), at(second), (sample,)))
    assert feed.values() == {"cpu": expected}
    seeded = Feed("acme", 1)
    seeded.evidence(Source.SIMULATOR)
    seeded.seed([("cpu_usage", Latest(at(s), "cpu", v, Source(source))) for source, s, v in said])
    assert seeded.values() == {"cpu": expected}


def test_another_evidence_is_another_value_and_another_message() -> None:
    feed = Feed("acme", 1, lambda: NOW)
    feed.seed(
        [("cpu_usage", Latest(at(-2), "cpu", 1.0, Source.SIMULATOR)), ("cpu_usage", Latest(NOW, "cpu", 2.0))]
    )
    for source, value in ((Source.SIMULATOR, 1.0), (Source.PUSH, 2.0), (Source.PROMETHEUS, 2.0)):
        before = feed.version
        feed.evidence(source)
        assert (feed.values(), feed.version > before) == ({"cpu": value}, True)
        feed.evidence(source)
        assert feed.version == before + 1


def test_a_custom_metric_keeps_its_own_name() -> None:
    feed = Feed("acme", 1)
    custom = Sample(SeriesKey("custom", "gpu_usage"), 3.0)
    feed.absorb(Frame("acme", Source.PUSH, NOW, (custom,)))
    assert feed.values() == {"gpu_usage": 3.0}


def test_tenants_do_not_see_each_other() -> None:
    hub = Hub()
    with (
        hub.watch(session("acme")) as (mine, my_outbox),
        hub.watch(session("other")) as (theirs, _),
        hub.listen(session("acme")) as (_, listener),
    ):
        change = down("other")
        hub.samples_committed(committed(frame("other", cpu_usage=1), changes=(change,)))
        hub.alert(event("other"))
        hub.external(external("other"))
        assert (mine.values(), theirs.values()) == ({}, {"cpu": 1.0})
        assert (list(my_outbox.missed), len(listener.backlog)) == ([], 0)


def test_tenants_that_nobody_watches_take_no_memory() -> None:
    hub = Hub()
    for number in range(500):
        name = f"t{number}"
        hub.samples_committed(committed(frame(name, cpu_usage=1), changes=(down(name),)))
        hub.alert(event(name))
    with hub.watch(session("acme")):
        hub.samples_committed(committed(frame("t1", cpu_usage=1)))
        assert list(hub._feeds) == ["acme"]
    assert (hub._feeds, hub._alerts, hub.sockets) == ({}, {}, 0)


def test_a_feed_is_shared_and_lives_as_long_as_its_last_watcher() -> None:
    hub = Hub()
    with hub.watch(session("acme")) as (first, _):
        with hub.watch(session("acme")) as (second, _):
            assert first is second
            assert hub.sockets == 2
        assert hub._feeds["acme"] is first
    assert hub.sockets == 0
    with hub.watch(session("acme")) as (fresh, _):
        assert fresh is not first


# --- state changes ------------------------------------------------------------------------------------------


def test_a_change_is_kept_for_every_watcher_that_is_not_open_yet_and_its_values_are_there() -> None:
    hub = Hub()
    with (
        hub.watch(session("acme")) as (feed, one),
        hub.watch(session("acme"), figured=True) as (_, two),
        hub.watch(session("other")) as (_, other),
    ):
        hub.samples_committed(committed(frame("acme", up=0), changes=(down("acme"),)))
        assert (list(one.missed), list(two.missed), list(other.missed)) == (["down"], ["down"], [])
        assert feed.values() == {"up": 0.0}


def test_of_very_many_unsent_changes_the_newest_stay() -> None:
    hub = Hub(change_bound=2)
    states = (SpanState.DOWN, SpanState.UP, SpanState.DOWN, SpanState.DOWN, SpanState.UP)
    changes = tuple(StateChange("acme", at(n), state, None) for n, state in enumerate(states))
    with hub.watch(session("acme")) as (_, watcher):
        hub.samples_committed(committed(changes=changes))
        assert list(watcher.missed) == ["down", "up"]
        assert not watcher.closed


# --- alerts -------------------------------------------------------------------------------------------------


def test_alerts_are_told_in_order() -> None:
    hub = Hub()
    with hub.listen(session("acme")) as (_, listener):
        for number in range(3):
            hub.alert(event(number=number))
        assert [m["alert_id"] for m in kept(listener)] == ["alert-0", "alert-1", "alert-2"]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ("inactive", "firing", "firing"),
        ("pending", "firing", "firing"),
        ("firing", "inactive", "resolved"),
        ("inactive", "pending", None),
        ("pending", "inactive", None),
        ("firing", "firing", None),
    ],
)
def test_only_firing_and_resolved_are_told(before: str, after: str, status: str | None) -> None:
    hub = Hub()
    with hub.listen(session("acme")) as (_, listener):
        hub.alert(event(from_state=before, to_state=after))
        assert [m["status"] for m in kept(listener)] == ([status] if status else [])


def test_an_alert_message_has_the_fields_of_the_contract() -> None:
    hub = Hub()
    with hub.listen(session("acme")) as (_, listener):
        hub.alert(event())
        hub.external(external(status="resolved", ends_at=at(60)))
        hub.external(external(None))  # belongs to no tenant
        ours, theirs = kept(listener)
    assert ours == {
        "alert_id": "alert-1", "tenant_id": "acme", "severity": "warning", "type": "resource_usage",
        "message": "cpu is hot", "metric": "cpu_usage", "current_value": 90.0, "threshold": 80.0,
        "status": "firing", "timestamp": rfc3339(NOW),
    }  # fmt: skip
    assert theirs.keys() == ours.keys()
    assert (theirs["alert_id"], theirs["status"], theirs["timestamp"]) == ("f1", "resolved", rfc3339(at(60)))


def test_each_is_told_in_the_language_that_it_asked_for() -> None:
    hub, said = Hub(), "high_cpu is firing for acme: cpu_usage is 91 (cpu_usage > 80)"
    with (
        hub.listen(session("acme")) as (_, english),
        hub.listen(session("acme"), korean=True) as (_, korean),
    ):
        korean.begin_with([message_of_event(event(message=said))])
        hub.alert(event(number=2, message=said))
        hub.external(external())
        told = [m["message"] for m in kept(english)]
        assert told == [said, "it is down"]
        in_korean = "acme 테넌트에서 high_cpu 알림이 발생했습니다: cpu_usage 값이 91입니다(cpu_usage > 80)"
        assert [m["message"] for m in kept(korean)] == [in_korean, "it is down"]
        assert in_korean.encode() in korean.firing[0]


def test_who_stays_behind_is_closed_and_forgotten_and_its_neighbour_is_not() -> None:
    hub = Hub(alert_bound=3)
    with hub.listen(session("acme")) as (_, slow), hub.listen(session("acme")) as (_, quick):
        for number in range(10):
            hub.alert(event(number=number))
            assert [m["alert_id"] for m in kept(quick)] == [f"alert-{number}"]
        assert slow.closed
        assert (slow.close_code, len(slow.backlog)) == (1013, 0)
        assert not quick.closed


# --- endings ------------------------------------------------------------------------------------------------


def test_a_deleted_tenant_is_forgotten_and_its_sockets_are_asked_to_close() -> None:
    hub = Hub()
    with (
        hub.watch(session("acme")) as (old, watching),
        hub.listen(session("acme")) as (_, listening),
        hub.watch(session("other")) as (_, other),
    ):
        hub.samples_committed(committed(frame("acme", cpu_usage=1)))
        hub.tenant_deleted(tenant())
        assert (watching.close_code, listening.close_code) == (TENANT_GONE, TENANT_GONE)
        assert watching.closed
        assert listening.closed
        assert not other.closed
        with hub.watch(session("acme")) as (fresh, _):
            assert fresh is not old
            assert fresh.values() == {}
    assert hub.sockets == 0


def test_a_watcher_of_a_deleted_tenant_does_not_take_its_namesake_along() -> None:
    """The old socket's task ends later than the new tenant's first socket opens."""
    hub = Hub()
    with ExitStack() as new:
        with hub.watch(session("acme")):
            hub.tenant_deleted(tenant())
            fresh, _ = new.enter_context(hub.watch(session("acme")))
        assert hub._feeds["acme"] is fresh


def test_at_the_end_everybody_is_closed_and_nobody_let_in() -> None:
    hub = Hub()
    with hub.watch(session("acme")) as (_, watching), hub.listen(session("other")) as (_, listening):
        hub.close()
        assert (watching.close_code, listening.close_code) == (1001, 1001)
    with pytest.raises(Overloaded), hub.watch(session("acme")):
        pass
    with pytest.raises(Overloaded), hub.listen(session("acme")):
        pass


def test_the_first_reason_to_close_stands() -> None:
    hub = Hub()
    with hub.watch(session("acme")) as (_, outbox):
        hub.tenant_deleted(tenant())
        hub.close()
        outbox.close(1013, "late")
        assert (outbox.close_code, outbox.close_reason) == (TENANT_GONE, "the tenant was deleted")


@pytest.mark.parametrize(
    ("limits", "full", "code", "bound"),
    [
        (SocketLimits(per_holder=2), session("other"), "TOO_MANY_SOCKETS", "token"),
        (SocketLimits(per_tenant=2), session("acme", holder="another"), "TOO_MANY_SOCKETS", "tenant"),
        (SocketLimits(in_all=2), session("other", holder="another"), "OVERLOADED", "all"),
    ],
)
def test_sockets_are_bounded_per_token_per_tenant_and_in_all_and_a_place_is_given_back(
    limits: SocketLimits, full: Session, code: str, bound: str
) -> None:
    refused: list[str] = []
    hub = Hub(admissions=Admissions(limits, refused.append))
    with hub.watch(session("acme")):
        with hub.listen(session("acme")):
            for enter in (hub.watch, hub.listen):
                with pytest.raises(TemporaryError) as caught:
                    enter(full)
                assert caught.value.code == code
            assert hub.sockets == 2
        with hub.listen(full):
            assert hub.sockets == 2
    assert (hub.sockets, refused) == (0, [bound] * 2)


def test_who_is_over_one_bound_takes_nothing_of_the_others() -> None:
    hub = Hub(admissions=Admissions(SocketLimits(in_all=4, per_holder=2, per_tenant=2)))
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(hub.watch(session("acme")))
        for full in (session("other"), session("acme", holder="another")):
            for _ in range(10):
                with pytest.raises(TooManySockets), hub.watch(full):
                    pass
        for _ in range(2):
            stack.enter_context(hub.watch(session("other", holder="another")))
        assert hub.sockets == 4


def test_two_databases_share_the_bound_but_not_their_tenants_numbers() -> None:
    shared = Admissions(SocketLimits(in_all=3, per_tenant=1))
    production, demo = Hub(admissions=shared), Hub(admissions=shared)
    with production.watch(session("acme")), demo.watch(session("acme", database="demo")):
        with pytest.raises(TooManySockets), demo.watch(session("acme", database="demo")):
            pass
        with demo.watch(session("other", database="demo")):
            with pytest.raises(Overloaded), production.watch(session("third")):
                pass
            assert (shared.open, production.sockets, demo.sockets) == (3, 1, 2)


def test_what_a_tenant_left_behind_is_not_shown_to_its_namesake() -> None:
    """It was deleted where this process could not hear of it."""
    hub = Hub()
    with hub.watch(session("acme")) as (old, outbox):
        hub.samples_committed(committed(frame("acme", cpu_usage=1)))
        with hub.watch(session("acme", number=7)) as (fresh, another):
            assert fresh.values() == {}
            hub.samples_committed(committed(frame("acme", cpu_usage=2)))
            assert (old.values(), fresh.values()) == ({"cpu": 1.0}, {"cpu": 2.0})
            hub.tenant_created(tenant(key=7))
            assert (outbox.close_code, another.closed) == (TENANT_GONE, False)


def test_a_change_of_another_process_that_is_over_is_not_told_after_the_later_one() -> None:
    feed = Feed("acme", 1)
    told: list[str] = []
    feed.live.changed = told.append  # type: ignore[method-assign]
    down, up = SpanState.DOWN, SpanState.UP
    feed.change(StateChange("acme", at(2), up, down))
    feed.change_elsewhere(StateChange("acme", at(1), down, up))
    assert told == ["up"]
    feed.change_elsewhere(StateChange("acme", at(1), up, None))  # as it is, for who has missed something
    feed.change_elsewhere(StateChange("acme", at(3), down, up))
    assert told == ["up", "up", "down"]
