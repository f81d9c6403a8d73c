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
REQUESTS_A_SCRAPE: Final = 30
# Of the queries that `promclient.joined` makes, the parts and their places.
_PARTS: Final = re.compile(rf'label_replace\((.*?)\n,"{PART}","(\d+)"', re.DOTALL)

Labels = dict[str, str]
# What is said at the instant of a scrape; None: nothing.
Said = Callable[[float], float | None]


@dataclass
class Scrapes:
    """Answers range queries about the tenant `tenant_id`, scraped from `since` on.

    `changes`: when it went down (True) and came up. While it is `doubled`, its requests are counted by two series that
    nothing but the pod tells apart, as in a rollout.
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
        counted = {"service": "callbot", "code": "200"}
        found: dict[str, list[tuple[Labels, Said]]] = {}
        for question in questions_of(self.rule, EVERY):
            if question.subject == "availability":
                found[question.expression] = [({}, self._up)]
                found |= {text: [({}, float)] for text, _ in question.times}
            elif question.subject == "counter requests_total":
                pods: list[tuple[Labels, Said]] = [
                    ({**counted, "pod": "a"}, self._count), ({**counted, "pod": "b"}, self._second_count)
                ]  # fmt: skip
                found[question.expression] = pods
                found |= {text: [(counted, float)] for text, _ in question.times}
        return found

    def _up(self, at: float) -> float:
        before = [down for when, down in sorted(self.changes) if when.timestamp() <= at]
        return 0.0 if before and before[-1] else 1.0

    def _count(self, at: float) -> float:
        return round((at - self.since.timestamp()) / EVERY) * REQUESTS_A_SCRAPE

    def _second_count(self, at: float) -> float | None:
        doubled = any(i.start.timestamp() <= at < i.end.timestamp() for i in self.doubled)
        return self._count(at) / 2 if doubled else None


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
