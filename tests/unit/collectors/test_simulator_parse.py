"""The simulator's replies: believed when they make sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ecpmon.collectors.simulator import parse
from ecpmon.errors import MonitoringUnavailable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00Z"


def document(**entry: Any) -> dict[str, Any]:
    tenant = {"tenant_id": "a", "timestamp": STAMP, "ready": True, "metrics": {"cpu_usage": 40.5}, **entry}
    return {"timestamp": STAMP, "tenants": [tenant]}


def values(reply: dict[str, Any]) -> dict[str, float]:
    frames = parse(reply, frozenset({"a"}), NOW).frames
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
    [None, [], {}, {"tenants": {}}, {"timestamp": STAMP, "tenants": [{"tenant_id": "a"}]},
     {"timestamp": "2026-03-01T12:00:00", "tenants": []}, {"timestamp": 5, "tenants": []},
     {"timestamp": "2026-03-01T13:00:00Z", "tenants": []}],
)  # fmt: skip
def test_a_reply_that_lies_is_refused(lie: Any) -> None:
    with pytest.raises(MonitoringUnavailable):
        parse(lie, frozenset({"a"}), NOW)


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
    frames = parse(document(counters=given), frozenset({"a"}), NOW).frames
    labelled = {
        s.key.labels: s.value for f in frames for s in f.samples if s.key.metric_name == "requests_total"
    }
    assert labelled == {(("service", "chatbot"),): 7.0, (("service", "callbot"),): 5.0}
    assert [s.value for f in frames for s in f.samples if s.key.metric_name == "up"] == [1.0]
    assert parse(document(counters="none"), frozenset({"a"}), NOW).frames
