"""The metrics of several processes read as one: counts are added and never fall, a leader's figures stand alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest
from prometheus_client.core import Metric

from ecpmon.summing import Part, newest_usage, summed, summed_requests
from ecpmon.telemetry import Telemetry, rendered
from ecpmon.tenantseries import TenantSeries, Usage

NEVER = 1e12


def process(pushes: int, leads: bool = False) -> Telemetry:
    telemetry = Telemetry()
    telemetry.stop_leading()
    if leads:
        telemetry.lead(7)
    telemetry.samples.labels("push").inc(pushes)
    telemetry.job_seconds.labels("gauges").observe(pushes)
    telemetry.sockets.set(pushes)
    telemetry.loop_longest_lag.set(pushes / 1000)
    telemetry.outbox_pending.set(pushes)
    return telemetry


def over_the_wire(telemetry: Telemetry) -> Part:
    told, taken = asyncio.run(telemetry.part()), Part()
    for line in told.lines():
        taken.take(line)
    assert taken == told
    return taken


def lines(metrics: Iterable[Metric]) -> list[str]:
    return b"".join(rendered(m, None) for m in metrics).decode().splitlines()


def test_counters_histograms_and_gauges_are_added_and_lags_are_not() -> None:
    found = lines(summed(over_the_wire(process(n)) for n in (1, 20, 300)))
    assert 'ecpmon_ingest_samples_total{source="push"} 321.0' in found
    assert 'ecpmon_job_duration_seconds_sum{job="gauges"} 321.0' in found
    assert 'ecpmon_job_duration_seconds_count{job="gauges"} 3.0' in found
    assert 'ecpmon_job_duration_seconds_bucket{job="gauges",le="+Inf"} 3.0' in found
    assert "ecpmon_sockets 321.0" in found
    assert "ecpmon_loop_longest_lag_seconds 0.3" in found


def test_what_only_a_leader_knows_is_told_by_the_leader_alone() -> None:
    found = lines(summed([over_the_wire(process(5)), over_the_wire(process(9, leads=True))]))
    assert "ecpmon_outbox_pending 9.0" in found
    assert "ecpmon_leader_term 7.0" in found


def test_a_sum_reads_like_what_one_process_tells() -> None:
    alone = process(4, leads=True)
    assert lines(summed([over_the_wire(alone)])) == b"".join(alone.exposition(None)).decode().splitlines()


def test_a_process_that_is_gone_keeps_counting_and_holds_nothing() -> None:
    before = lines(summed([over_the_wire(process(5)), over_the_wire(process(6))]))
    after = lines(summed([over_the_wire(process(5)), over_the_wire(process(6)).counted()]))
    assert 'ecpmon_ingest_samples_total{source="push"} 11.0' in before
    assert 'ecpmon_ingest_samples_total{source="push"} 11.0' in after
    assert "ecpmon_sockets 11.0" in before
    assert "ecpmon_sockets 5.0" in after


def test_of_a_tenants_usage_the_newest_is_told_and_its_requests_are_added() -> None:
    one, other = Telemetry(), Telemetry()
    one.tenants.usage("bank", {"cpu_usage": 10, "memory_usage": 30}, at=1.0, until=NEVER)
    other.tenants.usage("bank", {"cpu_usage": 20}, at=2.0, until=NEVER)
    # What is not in it says nothing about the others, nor does what was measured before.
    one.tenants.usage("bank", {"memory_usage": 40}, at=3.0, until=NEVER)
    other.tenants.usage("bank", {"cpu_usage": 50}, at=1.5, until=NEVER)
    one.tenants.usage("shop", {"cpu_usage": 1}, at=1.0, until=NEVER)
    for telemetry, count in ((one, 2), (other, 3)):
        for _ in range(count):
            telemetry.tenants.request("bank", "GET", 200)
    parts = [over_the_wire(other), over_the_wire(one)]
    usage: Usage = {}
    requests: dict[str, Counter[tuple[str, int]]] = {}
    list(newest_usage(parts, usage)), list(summed_requests(parts, requests))
    series = TenantSeries()
    series.replace_shared(usage, requests)
    text = b"".join(series.exposition({"bank"}, leads=False)).decode().splitlines()
    assert 'ecp_tenant_cpu_usage{tenant_id="bank"} 20.0' in text
    assert 'ecp_tenant_memory_usage{tenant_id="bank"} 40.0' in text
    assert 'ecp_tenant_requests_total{code="200",method="GET",status="success",tenant_id="bank"} 5.0' in text
    assert not [line for line in text if "shop" in line]


def test_what_thousands_of_tenants_are_told_of_comes_in_many_small_lines() -> None:
    telemetry = Telemetry()
    for n in range(2_000):
        telemetry.tenants.usage(f"tenant-{n}", {"cpu_usage": n, "memory_usage": n}, at=1.0, until=NEVER)
        telemetry.tenants.request(f"tenant-{n}", "GET", 200)
    told = list(asyncio.run(telemetry.part()).lines())
    assert len(told) > 40
    assert max(map(len, told)) < 20_000
    assert over_the_wire(telemetry).usage["tenant-7"] == {
        "cpu_usage": [1.0, 7, NEVER],
        "memory_usage": [1.0, 7, NEVER],
    }


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b'{"usage": 1}', b'{"families": 1}'])
def test_what_is_no_line_of_a_part_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Part().take(line)
