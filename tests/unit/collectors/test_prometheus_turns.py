"""Turn after turn: what one tenant, series or expression does wrong stops nobody else, and nobody for ever."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ecpmon.collectors.base import Collected
from ecpmon.collectors.promclient import PART, Range, Refused, TimedOut
from ecpmon.collectors.prometheus import PrometheusCollector
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus

STEP = timedelta(seconds=15)
T0 = datetime(2026, 3, 1, tzinfo=UTC)
RULE = PrometheusRule(availability="ready", metrics={"cpu_usage": "cpu", "memory_usage": "mem"})


def tenant(name: str) -> Tenant:
    return Tenant(
        key=1, tenant_id=name, name=None, preset="micro", is_demo=False, status=TenantStatus.RUNNING,
        service_requirements={}, resources=Resources(), sla_target=SlaTarget(), created_at=T0, updated_at=T0,
    )  # fmt: skip


# Of an expression at an instant: raises what the store would answer, or says whether there is a sample.
Says = Callable[[str, datetime], bool]


class Store:
    """Scraped in every step by `tenants`, 1 s before the instant that is asked for; each sample is 1."""

    def __init__(self, says: Says, tenants: Sequence[str] = ("a", "b")) -> None:
        self.remarks: list[str] = []
        self.says = says
        self.tenants = tenants
        self.asked = 0

    def ask(self, parts: Sequence[str], when: Range) -> list[list[Any]]:
        self.asked += 1
        count = round((when.end - when.start) / when.step) + 1
        instants = [when.start + n * when.step for n in range(count)]
        return [self._part(place, part, instants) for place, part in enumerate(parts)]

    def _part(self, place: int, part: str, instants: Sequence[float]) -> list[Any]:
        name = re.findall(r"(ready|cpu|mem)", part)[0]
        there = [at for at in instants if self.says(name, datetime.fromtimestamp(at, UTC))]
        values = [[at, str(at - 1) if "timestamp" in part else "1"] for at in there]
        return [
            {"metric": {"tenant_id": each, PART: str(place)}, "values": values}
            for each in self.tenants
            if values
        ]


class Running:
    def __init__(self, says: Says) -> None:
        self.store = Store(says)
        self.collector = PrometheusCollector("", RULE, STEP, 1.0, timedelta(days=7), client=self.store)
        self.now = T0 + timedelta(seconds=2)
        self.watermark: datetime | None = T0 - STEP
        self.stored: dict[str, set[datetime]] = {}
        self.given_up: list[str] = []
        self.last: Collected | None = None

    async def turns(self, count: int) -> None:
        for _ in range(count):
            try:
                self.last = await self.collector.collect([tenant("a"), tenant("b")], self.watermark, self.now)
            except MonitoringUnavailable:
                self.last = None
            else:
                self.watermark = self.last.until
                self.given_up += self.last.given_up
                for frame in self.last.frames:
                    for sample in frame.samples:
                        self.stored.setdefault(sample.key.metric_name, set()).add(frame.ts)
            self.now += STEP

    def missing(self, metric: str) -> list[float]:
        """Seconds after T0 of the instants so far that have no sample."""
        expected = {T0 + n * STEP - timedelta(seconds=1) for n in range(round((self.now - T0) / STEP))}
        return sorted((ts - T0).total_seconds() + 1 for ts in expected - self.stored.get(metric, set()))


async def test_an_expression_that_is_refused_for_two_minutes_loses_nothing_and_no_other_loses_anything() -> (
    None
):
    def says(name: str, _: datetime) -> bool:
        if name == "cpu" and refusing:
            raise Refused("execution: many-to-many matching")
        return True

    refusing = False
    running = Running(says)
    await running.turns(2)
    refusing = True
    await running.turns(8)
    assert running.missing("up") == running.missing("memory_usage") == []
    assert running.last
    assert running.last.detail == "metric cpu_usage: execution: many-to-many matching"
    assert len(running.missing("cpu_usage")) == 8
    refusing = False
    await running.turns(25)
    assert running.missing("cpu_usage") == []
    assert running.given_up == []
    assert running.last
    assert running.last.detail is None
    running.collector.close()


async def test_of_an_expression_that_a_bad_instant_breaks_for_ever_that_instant_is_given_up_with_the_reason() -> (
    None
):
    bad = {T0 + 4 * STEP, T0 + 5 * STEP}

    def says(name: str, at: datetime) -> bool:
        if name == "ready" and at in bad:
            raise Refused("execution: duplicate series")
        return True

    running = Running(says)
    await running.turns(40)
    running.collector.close()
    assert running.missing("cpu_usage") == []
    assert running.missing("up") == [60, 75]
    assert [re.sub(r"2026-03-01T|\+00:00", "", told) for told in running.given_up] == [
        "given up: availability from 00:01:00 to 00:01:00: execution: duplicate series",
        "given up: availability from 00:01:15 to 00:01:15: execution: duplicate series",
    ]


async def test_when_everything_is_refused_the_pull_has_failed_but_time_goes_on() -> None:
    def says(_: str, at: datetime) -> bool:
        if T0 + 2 * STEP <= at < T0 + 6 * STEP:
            raise Refused("execution: everything is wrong")
        return True

    running = Running(says)
    await running.turns(4)
    assert running.last
    assert running.last.refused
    await running.turns(60)
    running.collector.close()
    assert running.last
    assert not running.last.refused
    assert running.missing("up") == running.missing("cpu_usage") == [30, 45, 60, 75]
    assert running.watermark == running.now - STEP - timedelta(seconds=2)


async def test_while_nobody_is_there_the_watermark_waits_and_then_nothing_is_missing() -> None:
    def says(_: str, __: datetime) -> bool:
        if away:
            raise MonitoringUnavailable("away")
        return True

    away = False
    running = Running(says)
    await running.turns(2)
    away, before = True, running.watermark
    await running.turns(10)
    assert running.last is None
    assert running.watermark == before
    away = False
    await running.turns(2)
    running.collector.close()
    assert running.missing("up") == running.missing("memory_usage") == []


async def test_a_slow_expression_does_not_hold_up_the_others_and_a_slow_store_is_asked_three_times_at_most() -> (
    None
):
    def says(name: str, _: datetime) -> bool:
        if name in slow:
            raise TimedOut("no answer within 1 s")
        return True

    slow = {"mem"}
    running = Running(says)
    await running.turns(3)
    assert running.missing("up") == running.missing("cpu_usage") == []
    slow, asked = {"mem", "cpu", "ready"}, running.store.asked
    await running.turns(1)
    running.collector.close()
    assert running.last is None
    assert running.store.asked - asked <= 3


async def test_what_a_sender_brings_late_fills_the_gap_and_what_it_never_brings_stays_one() -> None:
    def says(_: str, at: datetime) -> bool:
        hole = T0 + 4 * STEP <= at < T0 + 12 * STEP
        # Half of it comes when the sender is there again, the rest never.
        return not hole or (running.now >= T0 + 12 * STEP and at < T0 + 8 * STEP)

    running = Running(says)
    await running.turns(16)
    assert running.missing("up") == [120, 135, 150, 165]
    asked = running.store.asked
    await running.turns(40)
    running.collector.close()
    assert running.missing("up") == [120, 135, 150, 165]
    # Each turn once, and the hole once more.
    assert running.store.asked - asked == 41
