"""Random worlds over the API, beside an oracle that counts microseconds: whatever instant is asked about, the truth
lies within the bounds, and they are no narrower than what was looked at allows."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from ecpmon.wire import rfc3339
from tests.integration.api.conftest import NOW, Service

SERVICES: Final = ("advisor", "callbot", "chatbot")
SECOND: Final = 1_000_000
# What one service is from one instant to another, in microseconds from NOW: up, down, or nobody knows.
Line = list[tuple[int, int, bool | None]]


@dataclass(frozen=True)
class Agent:
    """What one service was found to be (up?), when, and when it really changed."""

    found: list[tuple[int, bool]]
    changes: list[int]

    def truth(self) -> Line:
        edges = [self.found[0][0], *self.changes, 0]
        up = [self.found[0][1] is (n % 2 == 0) for n in range(len(edges))]
        return [(a, b, state) for a, b, state in zip(edges, edges[1:], up, strict=False) if a < b]

    def known(self, holds: int, *, exact: bool) -> Line:
        """As far as the observations tell: two that agree and are not too far apart. `exact`: each until the next."""
        line: Line = []
        for n, (t, up) in enumerate(self.found):
            following, after = self.found[n + 1] if n + 1 < len(self.found) else (0, up)
            if exact:
                line += [(t, min(following, t + holds), up), (t + holds, following, None)]
            else:
                sure = following - t <= holds and after is up
                line.append((t, following, up if sure else None))
        return [(a, b, state) for a, b, state in line if a < b]


def agent(r: random.Random, every: int, flapping: float) -> Agent:
    """It looks `every` so many seconds, more or less, and is silent now and then; between two looks that are near each
    other there is one change at most, as no bound can hold more."""
    t, up = -r.randint(2_000, 3_500) * SECOND + r.choice([0, r.randint(0, SECOND)]), r.random() < 0.7
    found, changes = list[tuple[int, bool]](), list[int]()
    while t < 0:
        found.append((t, up))
        silent = r.random() < 0.03
        step = int(
            every * SECOND * (r.uniform(2.51, 12) if silent else r.choice([1, 1, 1, r.uniform(0.2, 1.5)]))
        )
        count = r.randint(0, 4) if silent else int(r.random() < flapping)
        if t + step < 0:
            changes += sorted(r.randint(t + 1, t + step) for _ in range(count))
            up ^= count % 2 == 1
        t += step
    return Agent(found, changes)


@dataclass(frozen=True)
class World:
    every: int
    mode: str
    agents: dict[str, Agent]
    weights: dict[str, float] | None
    planned: tuple[int, int]

    @property
    def holds(self) -> int:
        return self.every * SECOND * 5 // 2

    def seconds(self, start: int, end: int, lines: Mapping[str, Line], unknown: bool | None) -> float:
        """Down time of `[start, end)` outside of what was planned, where what is unknown is up or not (`unknown`)."""
        cuts = {
            start,
            end,
            *self.planned,
            *(at for line in lines.values() for a, b, _ in line for at in (a, b)),
        }
        edges, total = sorted(at for at in cuts if start <= at <= end), 0.0
        for a, b in pairwise(edges):
            if not self.planned[0] <= a < self.planned[1]:
                total += (b - a) * self._down(
                    {name: self._at(line, a) for name, line in lines.items()}, unknown
                )
        return total / SECOND

    def _at(self, line: Line, instant: int) -> bool | None:
        if instant < line[0][0] and self.weights is None:
            return True  # a service that was not heard of yet is missed by nobody
        return next((state for a, b, state in line if a <= instant < b), None)

    def _down(self, states: Mapping[str, bool | None], unknown: bool | None) -> float:
        found = {name: unknown if up is None else up for name, up in states.items()}
        if self.weights is None:
            return float(any(up is False for up in found.values()))
        return sum(self.weights[name] for name, up in found.items() if up is False) / sum(
            self.weights.values()
        )

    def measured(self, start: int, end: int) -> float:
        planned = max(min(end, self.planned[1]) - max(start, self.planned[0]), 0)
        return (end - start - planned) / SECOND


def world(r: random.Random, flapping: Sequence[float]) -> World:
    names = r.sample(SERVICES, r.choice([1, 1, 2, 3]))
    every, often = r.choice([10, 20, 60]), r.choice(flapping)
    begin = -r.randint(300, 3_000) * SECOND
    return World(
        every,
        r.choice(["samples", "samples", "changes"]),
        {name: agent(r, every, often) for name in names},
        None if r.random() < 0.5 else {name: float(r.choice([1, 2, 3])) for name in names},
        r.choice([(0, 0), (begin, min(begin + r.randint(30, 900) * SECOND, -5 * SECOND))]),
    )


async def told(service: Service, here: World, r: random.Random) -> str:
    """A tenant of that world: all was pushed, in some order."""
    weights = {"component_weights": here.weights} if here.weights else {}
    name = await service.tenant(
        push_interval=here.every, push_mode=here.mode,
        service_requirements=dict.fromkeys(here.agents, 1), **weights,
    )  # fmt: skip
    body: list[dict[str, Any]] = [
        {"timestamp": rfc3339(instant(t)), "metrics": {f"up.{which}": int(up)}}
        for which, each in here.agents.items()
        for t, up in each.found
    ]
    if r.random() < 0.5:
        r.shuffle(body)
    for first in range(0, len(body), 200):
        status, answer, _ = await service.ask(
            "POST", f"/api/v1/tenants/{name}/monitoring", body[first : first + 200]
        )
        assert status == 202, answer
    if here.planned[0]:
        start, end = map(instant, here.planned)
        plan = {"start": rfc3339(start), "end": rfc3339(end), "title": "x", "reason": "planned in this world"}
        assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", plan))[0] == 201
    work = service.runtime.work
    assert work is not None
    await work.keeping.take_in_hand_made()
    return name


def instant(micros: int) -> Any:
    return NOW + timedelta(microseconds=micros)


async def check(service: Service, name: str, here: World, end: int) -> None:
    """The last hour as of `end`, which is now or over."""
    asked = f"&at={rfc3339(instant(end))}" if end else ""
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla?windows=1h{asked}")
    assert status == 200, answer
    [window] = answer["windows"]
    start = max(end - 3_600 * SECOND, min(each.found[0][0] for each in here.agents.values()))
    seconds = here.measured(start, end)
    assert window["eligible_minutes"] * 60 == pytest.approx(seconds, abs=1e-3)
    if not seconds:
        return
    exact = here.mode == "changes"
    known = {which: each.known(here.holds, exact=exact) for which, each in here.agents.items()}
    shown = {which: each.known(here.holds, exact=True) for which, each in here.agents.items()}
    least, most = (seconds * (1 - window["bounds"][side] / 100) for side in ("high", "low"))
    some = 0.01 if answer["by_minute"] else 1e-3
    assert least <= here.seconds(start, end, known, unknown=True) + some
    assert most >= here.seconds(start, end, known, unknown=False) - some
    if not exact:
        truth = {which: each.truth() for which, each in here.agents.items()}
        assert least - some <= here.seconds(start, end, truth, unknown=None) <= most + some
    # What changes by silence alone is unknown until anybody is heard of again.
    heard = all(each.found[-1][0] + here.holds >= 0 for each in here.agents.values())
    if heard and not answer["by_minute"]:
        down = here.seconds(start, end, shown, unknown=True)
        assert window["down_minutes"] * 60 == pytest.approx(down, abs=1e-3)


async def worlds(service: Service, seeds: range, flapping: Sequence[float]) -> None:
    for seed in seeds:
        r = random.Random(seed)
        here = world(r, flapping)
        name = await told(service, here, r)
        for end in (0, *(-r.randint(60, 1_500) * SECOND for _ in range(3))):
            try:
                await check(service, name, here, end)
            except AssertionError as wrong:
                raise AssertionError(f"world {seed}, as of {end / SECOND} s: {here}") from wrong


@pytest.fixture(params=[False, True], ids=["to the instant", "by the minute"])
def flaps(request: pytest.FixtureRequest) -> bool:
    found: bool = request.param
    return found


@pytest.fixture
def service_settings(flaps: bool) -> dict[str, Any]:
    return {"max_changes_per_day": 20} if flaps else {}


async def test_the_truth_is_within_the_bounds_of_any_instant_that_is_asked_for(
    service: Service, flaps: bool
) -> None:
    await worlds(service, range(6), [0.3, 0.7] if flaps else [0.02, 0.1, 0.5])


@pytest.mark.long
async def test_so_it_is_in_any_number_of_worlds(service: Service, flaps: bool) -> None:
    await worlds(service, range(100, 180), [0.3, 0.7] if flaps else [0.02, 0.1, 0.5])
