"""A Prometheus on the world's clock: what it has scraped of one target whose truth is known, and what is odd there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

from ecpmon.collectors.rules import PrometheusRule, load_sli_rules
from ecpmon.model.maintenance import Interval

# Between scrapes, and when the first is within a minute: nowhere near the instants that are asked about.
EVERY, OFFSET = 15.0, 4.0
REQUESTS_A_SCRAPE = 30


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
            {"metric": {self.rule.tenant_label: self.tenant_id, **labels}, "values": values}
            for labels, values in self._series(str(asked["query"]), instants)
            if values
        ]
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})

    def _series(
        self, query: str, instants: list[float]
    ) -> Iterator[tuple[dict[str, str], list[tuple[float, str]]]]:
        scraped = [(at, found) for at in instants if (found := self._scrape_before(at)) is not None]
        if query == self.rule.availability:
            yield {}, [(at, "0" if self._is_down(found) else "1") for at, found in scraped]
        elif query == self.rule.age:
            yield {}, [(at, str(at - found)) for at, found in scraped]
        elif query == self.rule.counters["requests_total"].expression:
            labels = {"service": "callbot", "code": "200"}
            yield {**labels, "pod": "a"}, [(at, self._count(found)) for at, found in scraped]
            both = [(at, self._count(found)) for at, found in scraped if self._is_doubled(found)]
            yield {**labels, "pod": "b"}, both

    def _scrape_before(self, at: float) -> float | None:
        """The last scrape that is there at `at`; None before the first."""
        found = at - (at - OFFSET) % EVERY
        return found if found >= self.since.timestamp() else None

    def _is_down(self, at: float) -> bool:
        before = [down for when, down in sorted(self.changes) if when.timestamp() <= at]
        return bool(before and before[-1])

    def _is_doubled(self, at: float) -> bool:
        return any(i.start.timestamp() <= at < i.end.timestamp() for i in self.doubled)

    def _count(self, at: float) -> str:
        return str(round((at - self.since.timestamp()) / EVERY) * REQUESTS_A_SCRAPE)


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
