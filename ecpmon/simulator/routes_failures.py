"""Routes that break tenants."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

import yaml
from aiohttp import web

from ecpmon.errors import Conflict, Forbidden, NotFound
from ecpmon.openapi.declaring import Query, read_query
from ecpmon.resources import data_dir
from ecpmon.simulator.documents import catalogue_document, failure_document, failures_document
from ecpmon.simulator.model.commands import end_failures, inject, tenant_of
from ecpmon.simulator.model.failures import Reach
from ecpmon.simulator.model.scenarios import FailureOrder, Scenario, ScenarioStep, parse_scenarios
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import rfc3339
from ecpmon.simulator.routing import Routes
from ecpmon.simulator.schemas import ScenarioBody
from ecpmon.simulator.shapes import (
    FailureCatalogue,
    FailureList,
    FailuresEnded,
    FailureShown,
    ScenarioBegun,
    ScenarioList,
    ScenarioShown,
)
from ecpmon.simulator.web import answer, engine_of, read_body

routes = Routes()


@routes.get("/api/v1/failures/types", answers={200: FailureCatalogue})
async def failure_types(_: web.Request) -> web.Response:
    """What can go wrong."""
    return answer(catalogue_document())


@routes.get("/api/v1/failures/{tenant_id}", answers={200: FailureList})
async def list_failures(request: web.Request) -> web.Response:
    """Active and scheduled failures."""
    state = await engine_of(request).view()
    tenant = tenant_of(state, request.match_info["tenant_id"])
    return answer(failures_document(state, tenant.tenant_id))


@routes.post(
    "/api/v1/failures/{tenant_id}",
    body=FailureOrder,
    answers={202: FailureShown},
    refuses=(Conflict, Forbidden),
)
async def post_failure(request: web.Request) -> web.Response:
    """Begin a failure; with reach `tenant` nothing that tenants share is touched."""
    order = await read_body(request, FailureOrder)
    made = await _inject(request, [order.as_step()], order.reach)
    return answer(made[0], status=202)


class EndingAsked(Query):
    reach: Reach = Reach.CLUSTER


@routes.delete("/api/v1/failures/{tenant_id}", query=EndingAsked, answers={200: FailuresEnded})
async def delete_failures(request: web.Request) -> web.Response:
    """End all of them now; with reach `tenant` only those that a tenant may order."""
    tenant_id, reach = request.match_info["tenant_id"], read_query(request, EndingAsked).reach

    def change(state: ClusterState) -> tuple[ClusterState, FailuresEnded]:
        changed, ended = end_failures(state, tenant_id, reach)
        return changed, {"tenant_id": tenant_id, "ended": ended, "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change))


@routes.get("/api/v1/scenarios", answers={200: ScenarioList})
async def list_scenarios(_: web.Request) -> web.Response:
    """Timed failures that ship with us."""
    shown = {name: cast(ScenarioShown, s.model_dump(mode="json")) for name, s in shipped_scenarios().items()}
    listed: ScenarioList = {"scenarios": shown}
    return answer(listed)


@routes.post(
    "/api/v1/scenarios/{tenant_id}",
    body=ScenarioBody,
    answers={202: ScenarioBegun},
    refuses=(NotFound, Conflict, Forbidden),
)
async def post_scenario(request: web.Request) -> web.Response:
    """Begin a scenario, by its name or by steps of one's own; seconds from now."""
    body = await read_body(request, ScenarioBody)
    orders = body.steps
    if orders is None:
        scenario = shipped_scenarios().get(str(body.scenario))
        if scenario is None:
            raise NotFound(
                f"there is no scenario {body.scenario!r}", details={"known": [*shipped_scenarios()]}
            )
        orders = scenario.steps
    made = await _inject(request, [order.as_step() for order in orders], body.reach)
    begun: ScenarioBegun = {"failures": made}
    return answer(begun, status=202)


async def _inject(request: web.Request, steps: list[ScenarioStep], reach: Reach) -> list[FailureShown]:
    tenant_id = request.match_info["tenant_id"]

    def change(state: ClusterState) -> tuple[ClusterState, list[FailureShown]]:
        changed, failures = inject(state, tenant_id, steps, reach)
        return changed, [failure_document(failure) for failure in failures]

    return await engine_of(request).command(change)


@cache
def shipped_scenarios() -> Mapping[str, Scenario]:
    """The scenarios in `rules/simulator/scenarios.yaml`."""
    text = (data_dir("rules") / "simulator" / "scenarios.yaml").read_text(encoding="utf-8")
    return parse_scenarios(yaml.safe_load(text))
