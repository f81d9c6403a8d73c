"""The simulator's replies: believed when they make sense."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.collectors.simulator import parse
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.samples import Columns

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00Z"


def document(**entry: Any) -> dict[str, Any]:
    tenant = {"tenant_id": "a", "timestamp": STAMP, "ready": True, "metrics": {"cpu_usage": 40.5}, **entry}
    return {"timestamp": STAMP, "tenants": [tenant]}


def values(reply: dict[str, Any]) -> dict[str, float]:
    frames = parse(reply, {"a": 1}, NOW).frames
    return {s.key.metric_name: s.value for f in frames for s in f.samples}


def test_readiness_is_the_evidence_beside_the_metrics() -> None:
    assert values(document()) == {"cpu_usage": 40.5, "up": 1.0}
    assert values(document(ready=False)) == {"cpu_usage": 40.5, "up": 0.0}


@pytest.mark.parametrize("ready", [None, "yes", 1, []])
def test_anything_but_true_or_false_says_nothing_about_availability(ready: object) -> None:
    assert values(document(ready=ready)) == {"cpu_usage": 40.5}


def test_a_metric_called_up_cannot_pose_as_evidence() -> None:
    assert values(document(ready=None, metrics={"up": 0})) == {}


def test_numbers_that_are_none_are_left_out() -> None:
    odd = {"cpu_usage": float("nan"), "memory_usage": "80", "gpu_usage": True, "queue": 3}
    assert values(document(metrics=odd)) == {"queue": 3.0, "up": 1.0}


@pytest.mark.parametrize(
    "lie",
    [None, [], {}, {"tenants": {}}, {"timestamp": "20026-03-01T12:00:00Z", "tenants": []},
     {"timestamp": "0001-01-01T00:00:00+14:00", "tenants": []},
     {"timestamp": "2026-03-01T12:00:00", "tenants": []}, {"timestamp": 5, "tenants": []},
     {"timestamp": "2026-03-01T13:00:00Z", "tenants": []}],
)  # fmt: skip
def test_a_reply_that_lies_is_refused(lie: Any) -> None:
    with pytest.raises(MonitoringUnavailable):
        parse(lie, {"a": 1}, NOW)


def test_external_metrics_are_stored_beside_its_own() -> None:
    posted = {"ecp-orchestrator": {"timestamp": STAMP, "metrics": {"active_sessions": 85}}}
    assert values(document(external=posted)) == {
        "cpu_usage": 40.5,
        "up": 1.0,
        "external_active_sessions": 85.0,
    }


def test_counters_are_series_of_their_own() -> None:
    given = [
        {"metric": "requests_total", "labels": {"service": "chatbot"}, "value": 7},
        {"metric": "requests_total", "labels": {"service": "callbot"}, "value": 5},
        {"metric": "up", "labels": {}, "value": 0},
        {"metric": "up", "labels": {"service": "chatbot"}, "value": 0},
        {"metric": "requests_total", "labels": {"service": 3}, "value": 5},
        {"metric": "requests_total", "labels": {"service": "x"}, "value": "5"},
        {"metric": "requests_total", "labels": {"service": "y"}, "value": float("inf")},
        "nothing",
    ]
    frames = parse(document(counters=given), {"a": 1}, NOW).frames
    labelled = {
        s.key.labels: s.value for f in frames for s in f.samples if s.key.metric_name == "requests_total"
    }
    assert labelled == {(("service", "chatbot"),): 7.0, (("service", "callbot"),): 5.0}
    assert [s.value for f in frames for s in f.samples if s.key.metric_name == "up"] == [1.0]
    assert parse(document(counters="none"), {"a": 1}, NOW).frames


def test_what_services_use_are_series_of_their_own() -> None:
    running = {"service": "chatbot", "desired": 2, "ready": 2, "sessions": 90, "pod_cpu_millicores": 120.5,
               "pod_memory_mib": 300.25}  # fmt: skip
    crashed = {**running, "service": "redis", "ready": 0, "pod_cpu_millicores": 0.0, "pod_memory_mib": 0.0}
    odd: list[Any] = ["x", {"service": 5, "ready": 1}, {"service": "nlp", "ready": "two", "sessions": None}]
    frames = parse(document(services=[running, crashed, *odd]), {"a": 1}, NOW).frames
    samples = [s for f in frames for s in f.samples if s.key.metric_name.startswith("service_")]
    labelled = {(s.key.labels, s.key.metric_name): s.value for s in samples}
    chatbot, redis = (("service", "chatbot"),), (("service", "redis"),)
    assert labelled == {
        (chatbot, "service_cpu_millicores"): 120.5, (chatbot, "service_memory_mib"): 300.25,
        (chatbot, "service_sessions"): 90.0, (chatbot, "service_replicas"): 2.0,
        # Nobody ran, so nothing was used that could be measured.
        (redis, "service_sessions"): 90.0, (redis, "service_replicas"): 0.0,
    }  # fmt: skip


def test_the_number_of_services_is_bounded() -> None:
    many = [{"service": f"s{i}", "desired": 1, "ready": 1, "sessions": 1} for i in range(500)]
    [frame] = parse(document(services=many), {"a": 1}, NOW).frames
    assert sum(s.key.metric_name == "service_replicas" for s in frame.samples) == 50


def test_usage_is_taken_four_times_a_minute() -> None:
    running = [{"service": "chatbot", "desired": 1, "ready": 1, "sessions": 9}]
    taken = []
    for second in range(0, 60, 5):
        stamp = f"2026-03-01T12:00:{second:02d}.4Z"
        reply = {**document(services=running, timestamp=stamp), "timestamp": stamp}
        [frame] = parse(reply, {"a": 1}, NOW, timedelta(seconds=5)).frames
        if any(s.key.metric_name == "service_replicas" for s in frame.samples):
            taken.append(second)
    assert taken == [0, 15, 30, 45]


@pytest.mark.parametrize(
    "lie",
    [{"timestamp": None}, {"timestamp": 5}, {"timestamp": "2030-01-01T00:00:00Z"}, {"timestamp": "2026-03-01T12:00:00"},
     {"timestamp": "0001-01-01T00:00:00+14:00"}, {"metrics": {"x" * 10: 1}, "timestamp": {}}],
)  # fmt: skip
def test_an_entry_that_lies_costs_its_tenant_only(lie: dict[str, Any]) -> None:
    fine = {"tenant_id": "b", "timestamp": STAMP, "ready": True, "metrics": {}}
    reply = document(**lie)
    reply["tenants"] += [fine, 5, {"tenant_id": ["a"]}, {}]
    found = parse(reply, {"a": 1, "b": 2}, NOW)
    assert [f.tenant_id for f in found.frames] == ["b"]
    assert list(found.troubles) == [("a", "")]


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), 1e308])
def test_numbers_past_all_bounds_stop_no_other_number(number: float) -> None:
    found = values(document(metrics={"cpu_usage": 40.5, "odd": number}))
    assert found.keys() - {"odd"} == {"cpu_usage", "up"}


def test_tenants_that_say_the_same_names_share_one_shape() -> None:
    counters = [{"metric": "requests_total", "labels": {"service": "chatbot"}, "value": 7}]
    reply = document(counters=counters)
    reply["tenants"] += [{**reply["tenants"][0], "tenant_id": "b", "metrics": {"cpu_usage": 3}}]
    odd = {"tenant_id": "c", "metrics": {"cpu_usage": None}}
    reply["tenants"] += [{**reply["tenants"][0], **odd}]
    for _ in range(2):
        a, b, c = parse(reply, {"a": 1, "b": 2, "c": 3}, NOW).frames
    assert isinstance(a.samples, Columns)
    assert isinstance(b.samples, Columns)
    assert a.samples.shape is b.samples.shape
    assert (list(a.samples.values), list(b.samples.values)) == ([40.5, 1.0, 7.0], [3.0, 1.0, 7.0])
    assert {s.key.metric_name for s in c.samples} == {"up", "requests_total"}
    assert [f.tenant for f in (a, b, c)] == [1, 2, 3]


def test_labels_that_are_no_text_are_taken_for_no_other_tenants_series() -> None:
    plain = [{"metric": "requests_total", "labels": {"service": "1"}, "value": 7}]
    assert values(document(counters=plain))["requests_total"] == 7.0
    for odd in (1, True, 1.0, ["1"], None):
        given = [{"metric": "requests_total", "labels": {"service": odd}, "value": 7}]
        assert "requests_total" not in values(document(counters=given))
