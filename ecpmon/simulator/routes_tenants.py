"""Routes that deploy tenants and break them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import yaml
from aiohttp import web

from ecpmon.errors import NotFound, ValidationFailed
from ecpmon.resources import data_dir
from ecpmon.simulator.documents import (
    Document,
    catalogue_document,
    failure_document,
    failures_document,
    tenant_document,
    tenant_summary,
)
from ecpmon.simulator.model.commands import (
    delete_tenant,
    end_failures,
    inject,
    put_external,
    put_tenant,
    tenant_of,
)
from ecpmon.simulator.model.failures import Reach
from ecpmon.simulator.model.restarts import restart_tenant
from ecpmon.simulator.model.scenarios import FailureOrder, Scenario, ScenarioStep, parse_scenarios
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.tenants import RESERVED_TENANTS
from ecpmon.simulator.model.times import rfc3339
from ecpmon.simulator.schemas import TENANT_PATTERN, ExternalBody, RestartBody, ScenarioBody, TenantBody
from ecpmon.simulator.web import answer, engine_of, read_body

_TENANT_ID = re.compile(TENANT_PATTERN)


async def put_one(request: web.Request) -> web.Response:
    tenant_id = request.match_info["tenant_id"]
    if not _TENANT_ID.fullmatch(tenant_id) or tenant_id in RESERVED_TENANTS:
        message = "must be an RFC 1123 label of at most 56 characters, and neither `system` nor `types`"
        raise ValidationFailed(message, fields=[{"field": "tenant_id", "message": message}])
    body = await read_body(request, TenantBody)
    specs = [service.as_spec() for service in body.services]

    def change(state: ClusterState) -> tuple[ClusterState, tuple[bool, Document]]:
        changed = put_tenant(state, tenant_id, specs)
        return changed, (tenant_id not in state.tenants, tenant_document(changed, changed.tenants[tenant_id]))

    created, document = await engine_of(request).command(change)
    return answer(document, status=201 if created else 200)


async def delete_one(request: web.Request) -> web.Response:
    tenant_id = request.match_info["tenant_id"]

    def change(state: ClusterState) -> tuple[ClusterState, None]:
        return delete_tenant(state, tenant_id), None

    await engine_of(request).command(change)
    return web.Response(status=204)


async def post_restart(request: web.Request) -> web.Response:
    tenant_id = request.match_info["tenant_id"]
    body = await read_body(request, RestartBody)

    def change(state: ClusterState) -> tuple[ClusterState, Document]:
        changed, count = restart_tenant(state, tenant_id, body.restarted_at)
        return changed, {"tenant_id": tenant_id, "restarted": count, "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change), status=202)


async def list_all(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    return answer({"tenants": [tenant_summary(tenant) for tenant in state.tenants.values()]})


async def get_one(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    return answer(tenant_document(state, tenant_of(state, request.match_info["tenant_id"])))


async def post_external(request: web.Request) -> web.Response:
    body = await read_body(request, ExternalBody)

    def change(state: ClusterState) -> tuple[ClusterState, Document]:
        changed = put_external(state, body.tenant_id, body.source, body.metrics)
        return changed, {"accepted": len(body.metrics), "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change), status=202)


async def failure_types(_: web.Request) -> web.Response:
    return answer(catalogue_document())


async def list_failures(request: web.Request) -> web.Response:
    state = await engine_of(request).view()
    tenant = tenant_of(state, request.match_info["tenant_id"])
    return answer(failures_document(state, tenant.tenant_id))


async def post_failure(request: web.Request) -> web.Response:
    order = await read_body(request, FailureOrder)
    made = await _inject(request, [order.as_step()], order.reach)
    return answer(made[0], status=202)


async def delete_failures(request: web.Request) -> web.Response:
    tenant_id, reach = request.match_info["tenant_id"], _reach_in_query(request)

    def change(state: ClusterState) -> tuple[ClusterState, Document]:
        changed, ended = end_failures(state, tenant_id, reach)
        return changed, {"tenant_id": tenant_id, "ended": ended, "timestamp": rfc3339(state.now)}

    return answer(await engine_of(request).command(change))


async def list_scenarios(_: web.Request) -> web.Response:
    return answer({"scenarios": {name: s.model_dump(mode="json") for name, s in shipped_scenarios().items()}})


async def post_scenario(request: web.Request) -> web.Response:
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
    return answer({"failures": made}, status=202)


def _reach_in_query(request: web.Request) -> Reach:
    text = request.query.get("reach", Reach.CLUSTER)
    try:
        return Reach(text)
    except ValueError:
        field = {"field": "reach", "message": f"must be one of {', '.join(Reach)}"}
        raise ValidationFailed("the request has bad fields", fields=[field]) from None


async def _inject(request: web.Request, steps: list[ScenarioStep], reach: Reach) -> list[Document]:
    tenant_id = request.match_info["tenant_id"]

    def change(state: ClusterState) -> tuple[ClusterState, list[Document]]:
        changed, failures = inject(state, tenant_id, steps, reach)
        return changed, [failure_document(failure) for failure in failures]

    return await engine_of(request).command(change)


@cache
def shipped_scenarios() -> Mapping[str, Scenario]:
    """The scenarios in `rules/simulator/scenarios.yaml`."""
    text = (data_dir("rules") / "simulator" / "scenarios.yaml").read_text(encoding="utf-8")
    return parse_scenarios(yaml.safe_load(text))
