"""What the jobs ask the database does not grow with the tenants of whom nothing new is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from ecpmon.storage.sessions import QueryStats, query_stats
from tests.integration.api.closing import of_another_leader
from tests.integration.api.conftest import Service


async def silent(service: Service, count: int) -> None:
    """That many more tenants, which said once that they are up."""
    for _ in range(count):
        url = f"/api/v1/tenants/{await service.tenant()}/monitoring"
        assert (await service.ask("POST", url, {"metrics": {"up": 1, "response_time": 120}}))[0] == 202


async def asked(service: Service) -> dict[str, int]:
    """By job: statements of one turn, when two months have passed and all jobs had turns since."""
    jobs, found = service.runtime.jobs, {}
    service.clock.advance(timedelta(days=60).total_seconds())
    for _ in range(3):
        await jobs.run_all()
        service.clock.advance(3600)
    for name in jobs.names:
        found[name] = await counted(partial(jobs.run, name))
    closing = of_another_leader(service.runtime.work.closing)
    found["statements, of another leader"] = await counted(closing.run_once)
    service.clock.advance(86_400)
    found["statements, a day later"] = await counted(closing.run_once)
    return found


async def counted(turn: Callable[[], Awaitable[None]]) -> int:
    """Statements of this task and those that it begins: what else the process does meanwhile does not count."""
    stats = QueryStats()
    ours = query_stats.set(stats)
    await turn()
    query_stats.reset(ours)
    return stats.queries


async def test_a_turn_of_no_job_asks_more_about_many_silent_tenants_than_about_few(service: Service) -> None:
    await silent(service, 2)
    few = await asked(service)
    assert few["statements"] > 0
    await silent(service, 12)
    many = await asked(service)
    # What is held in memory for a second is read once more on a busy machine.
    assert {name: (few[name], count) for name, count in many.items() if count > few[name] + 6} == {}
