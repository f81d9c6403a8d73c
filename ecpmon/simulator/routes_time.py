"""Routes about time: the clock, and history written into the past."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Literal, cast

import orjson
from aiohttp import web

from ecpmon.errors import Conflict, TenantNotFound
from ecpmon.openapi.declaring import Text, optional
from ecpmon.serving import request_id_of
from ecpmon.simulator.model.commands import set_clock, tenant_of, write_past
from ecpmon.simulator.model.past import observations
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.step import step
from ecpmon.simulator.model.times import Micros, from_seconds, rfc3339
from ecpmon.simulator.routing import Routes
from ecpmon.simulator.schemas import AdvanceBody, HistoryBody, SetClockBody
from ecpmon.simulator.shapes import ClockShown
from ecpmon.simulator.web import answer, engine_of, read_body

routes = Routes()
LINES_PER_CHUNK = 250  # some ten milliseconds of work between two looks at other requests


def _clock_document(request: web.Request, now: Micros) -> ClockShown:
    clock = engine_of(request).clock
    mode = cast(Literal["wall", "manual"], clock.mode)
    return {"now": rfc3339(now), "mode": mode, "speed": clock.speed}


@routes.get("/api/v1/clock", answers={200: ClockShown})
async def get_clock(request: web.Request) -> web.Response:
    """Simulated time."""
    state = await engine_of(request).view()
    return answer(_clock_document(request, state.now))


@routes.post("/api/v1/clock/advance", body=AdvanceBody, answers={200: ClockShown}, refuses=(Conflict,))
async def advance(request: web.Request) -> web.Response:
    """Move a manual clock on, by `seconds` or `to` a time."""
    _refuse_wall_clock(request)
    body = await read_body(request, AdvanceBody)

    def change(state: ClusterState) -> tuple[ClusterState, Micros]:
        target = state.now + from_seconds(body.seconds or 0.0) if body.to is None else body.to
        if target < state.now:
            raise Conflict(f"it is already {rfc3339(state.now)}: time does not run backwards")
        return step(state, target - state.now), target

    return answer(_clock_document(request, await engine_of(request).command(change)))


@routes.post("/api/v1/clock/set", body=SetClockBody, answers={200: ClockShown}, refuses=(Conflict,))
async def set_now(request: web.Request) -> web.Response:
    """Set a manual clock, before any tenant is there."""
    _refuse_wall_clock(request)
    body = await read_body(request, SetClockBody)

    def change(state: ClusterState) -> tuple[ClusterState, Micros]:
        return set_clock(state, body.to), body.to

    return answer(_clock_document(request, await engine_of(request).command(change)))


def _refuse_wall_clock(request: web.Request) -> None:
    if engine_of(request).clock.mode != "manual":
        raise Conflict("the clock follows the wall clock; start the simulator with --manual-clock to move it")


@routes.post(
    "/api/v1/history",
    body=optional(HistoryBody),
    answers={200: Text("application/x-ndjson")},
    refuses=(TenantNotFound,),
)
async def history(request: web.Request) -> web.StreamResponse:
    """Write the past, and its truth.

    One line of JSON for each tenant and interval: `tenant_id`, `timestamp`, `ready` and `metrics`.
    """
    # The truth first, then what was observed: a broken connection loses nothing.
    body = await read_body(request, HistoryBody, optional=True)

    def change(state: ClusterState) -> tuple[ClusterState, tuple[ClusterState, Micros, Micros]]:
        end = state.now if body.end is None else min(body.end, state.now)
        start = end - from_seconds(body.duration_seconds)
        changed = state
        for tenant_id in _wanted(state, body):
            changed = write_past(changed, tenant_id, start)
        return changed, (changed, start, end)

    state, start, end = await engine_of(request).command(change)
    response = web.StreamResponse(headers={"X-Request-ID": request_id_of(request)})
    response.content_type = "application/x-ndjson"
    await response.prepare(request)
    interval = from_seconds(body.interval_seconds)
    for tenant_id in _wanted(state, body):
        lines = _lines(state, tenant_id, start, end, interval)
        while chunk := b"".join(islice(lines, LINES_PER_CHUNK)):
            await response.write(chunk)
            await asyncio.sleep(0)  # a reader that keeps up never makes `write` wait: let others in
    await response.write_eof()
    return response


def _wanted(state: ClusterState, body: HistoryBody) -> list[str]:
    """The tenants asked for, each once; TenantNotFound for an unknown one."""
    names = list(state.tenants) if body.tenants is None else list(dict.fromkeys(body.tenants))
    return [tenant_of(state, name).tenant_id for name in names]


def _lines(
    state: ClusterState, tenant_id: str, start: Micros, end: Micros, interval: Micros
) -> Iterator[bytes]:
    tenant = state.tenants[tenant_id]
    if tenant.past is None:
        return
    for seen in observations(state.seed, tenant, tenant.past, start, end, interval):
        yield orjson.dumps(seen.as_document(), option=orjson.OPT_APPEND_NEWLINE)
