"""OTLP metrics as series: protobuf and JSON say the same; deltas are added up once."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from ecpmon.agents import otlp
from ecpmon.agents.arriving import Arriving
from ecpmon.agents.memory import Memory, Whose
from ecpmon.agents.otlp import Metric
from ecpmon.agents.otlp_taking import take_metrics
from ecpmon.agents.protobuf import Malformed
from ecpmon.agents.totals import Adding, Totals
from tests.remote_write import nested, varint

T = 1_772_442_000_000
NS = T * 1_000_000
MINUTE = 60 * 10**9


def metrics_of(document: Any, tenant_label: str = "tenant_id") -> Iterator[Metric]:
    return otlp.metrics_of(document, tenant_label)


def taken(
    metrics: Iterable[Metric], totals: Totals | None = None, commit: bool = True
) -> tuple[dict[tuple[str, int], dict[str, float]], dict[str, int]]:
    arriving = Arriving(Memory(), Whose(), "tenant_id", T - 10**9, T + 10**9)
    adding = Adding(Totals() if totals is None else totals)
    for _ in take_metrics(metrics, arriving, adding, 3):
        pass
    if commit:
        adding.commit()
    keys = arriving.memory.keys
    told = {
        key: {
            ",".join((keys[n].metric_name, *(f"{a}={b}" for a, b in keys[n].labels))): v
            for n, v in zip(numbers, values, strict=True)
        }
        for key, (numbers, values) in arriving.groups.items()
        if key[0]
    }
    return told, {why.value: count for why, count in arriving.left_out.items() if count}


def attributes(**given: str) -> list[dict[str, Any]]:
    return [{"key": k.replace("_", "."), "value": {"stringValue": v}} for k, v in given.items()]


def document(*metrics: dict[str, Any], **resource: str) -> dict[str, Any]:
    about = attributes(**{"tenant_id": "a", "service_name": "bot", "host_name": "h", **resource})
    return {
        "resourceMetrics": [{"resource": {"attributes": about}, "scopeMetrics": [{"metrics": list(metrics)}]}]
    }


def gauge(value: Any, **more: Any) -> dict[str, Any]:
    return {"name": "temp", "gauge": {"dataPoints": [{"timeUnixNano": str(NS), "asDouble": value, **more}]}}


def counter(value: int, start: int, until: int, temporality: Any = 1) -> dict[str, Any]:
    point = {"startTimeUnixNano": str(start), "timeUnixNano": str(until), "asInt": str(value)}
    return {
        "name": "done",
        "sum": {"dataPoints": [point], "aggregationTemporality": temporality, "isMonotonic": True},
    }


def test_a_point_is_a_sample_with_its_own_labels_and_those_that_tell_who_it_is_from() -> None:
    told, _ = taken(metrics_of(document(gauge(1.5, attributes=attributes(zone="z")))))
    assert told == {("a", T): {"temp,service.name=bot,zone=z": 1.5}}


def key_value(key: str, value: bytes) -> bytes:
    return nested(1, key.encode()) + nested(2, value)


def fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def test_protobuf_says_the_same() -> None:
    point = fixed(3, NS) + varint(4 << 3 | 1) + struct.pack("<d", 1.5)
    point += nested(7, key_value("zone", nested(1, b"z"))) + nested(7, key_value("n", b"\x18\x05"))
    metric = nested(1, b"temp") + nested(3, b"C") + nested(5, nested(1, point))
    resource = nested(1, key_value("tenant.id", nested(1, b"a"))) + nested(
        1, key_value("host.name", nested(1, b"h"))
    )
    body = nested(1, nested(1, resource) + nested(2, nested(1, b"") + nested(2, metric)))
    assert taken(otlp.metrics_in(body, "tenant_id"))[0] == {("a", T): {"temp,n=5,zone=z": 1.5}}
    for cut in range(1, len(body)):
        with pytest.raises(Malformed):
            taken(otlp.metrics_in(body[:cut], "tenant_id"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_says_nothing(value: str) -> None:
    assert taken(metrics_of(document(gauge(value)))) == ({}, {"not_a_number": 1})


def test_a_point_without_recorded_value_is_stale() -> None:
    assert taken(metrics_of(document(gauge(0, flags=1)))) == ({}, {"stale": 1})


def test_a_counter_says_when_it_began_and_a_gauge_does_not() -> None:
    began = NS - 90 * 10**9
    told, _ = taken(metrics_of(document(counter(5, began, NS, 2))))
    assert told[("a", T)] == {"done,service.name=bot": 5, "done_created,service.name=bot": T / 1000 - 90}
    point = {"startTimeUnixNano": str(began), "timeUnixNano": str(NS), "count": "3", "bucketCounts": ["1", "2"],
             "explicitBounds": [0.5]}  # fmt: skip
    histogram = {"name": "rt", "histogram": {"dataPoints": [point], "aggregationTemporality": 2}}
    told, _ = taken(metrics_of(document(histogram)))
    assert told[("a", T)]["rt_created,service.name=bot"] == T / 1000 - 90
    rising = counter(5, began, NS, 2)
    del rising["sum"]["isMonotonic"]
    for other in (rising, gauge(1.0, startTimeUnixNano=str(began))):
        told, _ = taken(metrics_of(document(other)))
        assert not [name for name in told["a", T] if "created" in name]


def test_in_protobuf_a_sum_that_only_rises_says_when_it_began() -> None:
    point = fixed(2, NS - 90 * 10**9) + fixed(3, NS) + varint(6 << 3 | 1) + struct.pack("<q", 5)
    resource = nested(1, key_value("tenant.id", nested(1, b"a")))
    for rises in (b"", b"\x18\x01"):
        metric = nested(1, b"done") + nested(7, nested(1, point) + b"\x10\x02" + rises)
        body = nested(1, nested(1, resource) + nested(2, nested(2, metric)))
        told = taken(otlp.metrics_in(body, "tenant_id"))[0]
        assert told["a", T] == {"done": 5.0} | ({"done_created": T / 1000 - 90} if rises else {})


def test_a_histogram_is_told_by_its_bounds() -> None:
    point = {"timeUnixNano": NS, "count": "3", "bucketCounts": ["1", "2", 0], "explicitBounds": [0.1, 0.5]}
    metric = {"name": "rt", "histogram": {"dataPoints": [point], "aggregationTemporality": 2}}
    told, _ = taken(metrics_of(document(metric)))
    assert told[("a", T)] == {
        "rt_count,service.name=bot": 3,
        "rt_bucket,le=0.1,service.name=bot": 1,
        "rt_bucket,le=0.5,service.name=bot": 3,
    }


@pytest.mark.parametrize("scale", [0, 10])
def test_exponential_buckets_are_told_by_powers_of_two_whatever_their_scale(scale: int) -> None:
    # Observations of 0.75 (one) and 3 (two); at scale 10 an octave has 1,024 buckets.
    places = {0: {-1: 1, 1: 2}, 10: {-426: 1, 1_622: 2}}[scale]
    first, last = min(places), max(places)
    buckets = {"offset": first, "bucketCounts": [str(places.get(n, 0)) for n in range(first, last + 1)]}
    point = {"timeUnixNano": NS, "count": 4, "zeroCount": 1, "scale": scale, "positive": buckets}
    metric = {"name": "rt", "exponentialHistogram": {"dataPoints": [point], "aggregationTemporality": 2}}
    told = taken(metrics_of(document(metric)))[0][("a", T)]
    found = {le: told[f"rt_bucket,le={le},service.name=bot"] for le in ("0.5", "1", "2", "4")}
    assert found == {"0.5": 1, "1": 2, "2": 2, "4": 4}


def test_deltas_are_added_up_from_a_zero_at_their_beginning() -> None:
    totals = Totals()
    first, _ = taken(metrics_of(document(counter(5, NS - MINUTE, NS))), totals)
    assert first == {
        ("a", T - 59_999): {"done,ecpmon_front=3,service.name=bot": 0},
        ("a", T): {"done,ecpmon_front=3,service.name=bot": 5},
    }
    second, _ = taken(metrics_of(document(counter(2, NS, NS + MINUTE))), totals)
    assert second == {("a", T + 60_000): {"done,ecpmon_front=3,service.name=bot": 7}}


def test_a_delta_that_is_sent_again_is_added_once() -> None:
    totals = Totals()
    taken(metrics_of(document(counter(5, NS - MINUTE, NS))), totals)
    body = document(counter(2, NS, NS + MINUTE, "AGGREGATION_TEMPORALITY_DELTA"))
    lost, _ = taken(metrics_of(body), totals, commit=False)
    again, _ = taken(metrics_of(body), totals)
    assert [*lost.values()] == [*again.values()] == [{"done,ecpmon_front=3,service.name=bot": 7}]
    assert taken(metrics_of(body), totals)[0] == {}


def test_deltas_of_a_histogram_are_added_bucket_by_bucket() -> None:
    totals = Totals()

    def metric(start: int) -> dict[str, Any]:
        point = {"startTimeUnixNano": start, "timeUnixNano": start + MINUTE, "count": 3,
                 "bucketCounts": [1, 2], "explicitBounds": [0.5]}  # fmt: skip
        return {"name": "rt", "histogram": {"dataPoints": [point], "aggregationTemporality": 1}}

    taken(metrics_of(document(metric(NS))), totals)
    told, _ = taken(metrics_of(document(metric(NS + MINUTE))), totals)
    front = "ecpmon_front=3"
    assert told == {
        ("a", T + 120_000): {
            f"rt_count,{front},service.name=bot": 6,
            f"rt_bucket,{front},le=0.5,service.name=bot": 2,
        }
    }


@pytest.mark.parametrize(
    "body",
    [
        [], {"resourceMetrics": {}}, {"resourceMetrics": [1]},
        {"resourceMetrics": [{"scopeMetrics": [{"metrics": "x"}]}]},
        document({"name": 5}), document(gauge("x")), document(gauge([])), document({"name": "x", "gauge": 1}),
        document(gauge(1, timeUnixNano="soon")), document(gauge(1, attributes=[{"key": 1}])),
    ],
)  # fmt: skip
def test_what_is_no_message_is_refused_whole(body: Any) -> None:
    with pytest.raises(Malformed):
        taken(metrics_of(body))


def test_of_no_tenant_is_nobodys() -> None:
    assert taken(metrics_of({"resourceMetrics": document(gauge(1))["resourceMetrics"], "more": 1}))[0]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [gauge(1)]}]}]}
    assert taken(metrics_of(body)) == ({}, {"no_tenant": 1})


def test_the_attribute_that_names_the_tenant_may_have_the_name_of_the_label() -> None:
    point = {"timeUnixNano": NS, "asInt": 1}
    resource = {"attributes": [{"key": "whose", "value": {"stringValue": "a"}}]}
    scope = {"metrics": [{"name": "temp", "gauge": {"dataPoints": [point]}}]}
    [metric] = metrics_of({"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}, "whose")
    assert metric.points[0].labels == {"whose": "a"}
