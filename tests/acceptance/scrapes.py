"""A Prometheus on the world's clock: what it has scraped of one target whose truth is known, and what is odd there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from aiohttp import web

from ecpmon.collectors.promclient import PART
from ecpmon.collectors.questions import questions_of
from ecpmon.collectors.rules import PrometheusRule, load_sli_rules
from ecpmon.model.maintenance import Interval

# Seconds between scrapes, and when the first is within a minute: nowhere near the instants that are asked about.
EVERY, OFFSET = 15.0, 4.0
REQUESTS_A_SECOND: Final = 2
# Of the queries that `promclient.joined` makes, the parts and their places.
_PARTS: Final = re.compile(rf'label_replace\((.*?)\n,"{PART}","(\d+)"', re.DOTALL)

Labels = dict[str, str]
# What is said at the instant of a scrape; None: nothing.
Said = Callable[[float], float | None]


@dataclass
class Scrapes:
    """Answers range queries about the tenant `tenant_id`, scraped from `since` on.

    `changes`: when it went down (True) and came up. While it is down its requests fail, and the series of those that do
    is born with the first. While it is `doubled`, its requests are counted by two series that nothing but the pod tells
    apart, as in a rollout.
    """

    tenant_id: str
    since: datetime
    rule: PrometheusRule = field(default_factory=lambda: load_sli_rules().prometheus)
    changes: list[tuple[datetime, bool]] = field(default_factory=list)
    doubled: list[Interval] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        asked = {**request.query, **(await request.post())}
        start, end, step = (float(str(asked[name])) for name in ("start", "end", "step"))
        instants = [start + n * step for n in range(int((end - start) // step) + 1)]
        result = [
            {"metric": {self.rule.tenant_label: self.tenant_id, PART: place, **labels}, "values": values}
            for part, place in _PARTS.findall(str(asked["query"]))
            for labels, said in self._series.get(part, ())
            if (values := list(self._values(said, instants)))
        ]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def _values(self, said: Said, instants: list[float]) -> Iterator[tuple[float, str]]:
        for at in instants:
            scraped = at - (at - OFFSET) % EVERY
            if scraped >= self.since.timestamp() and (value := said(scraped)) is not None:
                yield at, repr(value)

    @cached_property
    def _series(self) -> Mapping[str, list[tuple[Labels, Said]]]:
        """By expression."""
        good, bad = {"service": "callbot", "code": "200"}, {"service": "callbot", "code": "503"}
        series: dict[str, list[tuple[Labels, Said]]] = {
            "availability": [({}, self._up)],
            "counter requests_total": [
                ({**good, "pod": "a"}, self._good), ({**good, "pod": "b"}, self._second), (bad, self._failed)
            ],
            "counter errors_total": [(bad, self._failed)],
        }  # fmt: skip
        found: dict[str, list[tuple[Labels, Said]]] = {}
        for question in questions_of(self.rule, EVERY):
            said = found[question.expression] = series.get(question.subject, [])
            for text, by in question.times:
                whose = {tuple(sorted((k, v) for k, v in labels.items() if k in by)) for labels, _ in said}
                found[text] = [(dict(labels), float) for labels in sorted(whose)]
        return found

    def _up(self, at: float) -> float:
        before = [down for when, down in sorted(self.changes) if when.timestamp() <= at]
        return 0.0 if before and before[-1] else 1.0

    def _seconds_down(self, at: float) -> float:
        changes = [(when.timestamp(), down) for when, down in sorted(self.changes)]
        ends = [when for when, _ in changes[1:]] + [at]
        return sum(
            max(min(end, at) - when, 0.0) for (when, down), end in zip(changes, ends, strict=False) if down
        )

    def failed(self, at: float) -> int:
        """How many requests had failed."""
        return int(self._seconds_down(at) * REQUESTS_A_SECOND)

    def _failed(self, at: float) -> float | None:
        return self.failed(at) or None

    def _good(self, at: float) -> float:
        return int((at - self.since.timestamp() - self._seconds_down(at)) * REQUESTS_A_SECOND)

    def _second(self, at: float) -> float | None:
        doubled = any(i.start.timestamp() <= at < i.end.timestamp() for i in self.doubled)
        return int(self._good(at) / 2) if doubled else None


@asynccontextmanager
async def serving(scrapes: Scrapes, free_port: Callable[[], int]) -> AsyncIterator[str]:
    """Its URL."""
    app = web.Application()
    app.router.add_route("*", "/api/v1/query_range", scrapes.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    port = free_port()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def scrapes_from(start: datetime, tenant_id: str) -> Scrapes:
    return Scrapes(tenant_id, start.astimezone(UTC) - timedelta(minutes=1))
