"""Deploys tenants into the simulator and breaks them there, over its REST API (api.md §7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from ecpmon.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    PermanentError,
    SimulatorUnavailable,
    ValidationFailed,
)
from ecpmon.model.deployments import DeployedObject
from ecpmon.model.tenants import Tenant
from ecpmon.ports.orchestrator import Reach

_BY_STATUS: dict[int, type[PermanentError]] = {
    400: BadRequest, 403: Forbidden, 404: NotFound, 409: Conflict,
}  # fmt: skip


class SimulatorDeployer:
    """`ports.SimulatorClient`. Raises SimulatorUnavailable when it does not answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self._session = session
        self.url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def deploy(self, tenant: Tenant) -> Sequence[DeployedObject]:
        from ecpmon.orchestrator.tuning import plan_of

        plan = plan_of(tenant)
        services = [
            {
                "name": service.service_name,
                "replicas": service.replicas,
                "cpu_millicores": _number(service.cpu_request, "m"),
                "memory_mib": _number(service.memory_request, "Mi"),
                "gpu": service.gpu,
                "sessions": service.sessions,
            }
            for service in plan.services
        ]
        path = f"/api/v1/tenants/{quote(tenant.tenant_id, safe='')}"
        try:
            before = await self._call("GET", path)
        except NotFound:
            before = {}
        return _deployed(before, await self._call("PUT", path, {"services": services}))

    async def remove(self, tenant_id: str) -> None:
        try:
            await self._call("DELETE", f"/api/v1/tenants/{quote(tenant_id, safe='')}")
        except NotFound:
            return  # gone already is what was wanted

    async def restart(self, tenant: Tenant, now: datetime) -> int:
        """`ports.Restarter`: new pods for every service; the number of services."""
        path = f"/api/v1/tenants/{quote(tenant.tenant_id, safe='')}/restart"
        answer = await self._call("POST", path, {"restarted_at": now.isoformat()})
        return int(answer["restarted"])

    async def status(self, among: Collection[str] | None) -> dict[str, Any]:
        if among is None:
            return await self._call("GET", "/api/v1/metrics/system")
        return await self._call("POST", "/api/v1/metrics/system", {"tenants": sorted(among)})

    async def trigger_failure(
        self,
        tenant_id: str,
        failure_type: str,
        duration_seconds: float | None,
        severity: float | None,
        reach: Reach,
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"failure_type": failure_type, "reach": reach}
        if duration_seconds is not None:
            body["duration_seconds"] = duration_seconds
        if severity is not None:
            body["severity"] = severity
        return await self._call("POST", f"/api/v1/failures/{quote(tenant_id, safe='')}", body)

    async def start_scenario(self, tenant_id: str, scenario: str) -> None:
        body = {"scenario": scenario, "reach": "tenant"}
        await self._call("POST", f"/api/v1/scenarios/{quote(tenant_id, safe='')}", body)

    async def clear_failures(self, tenant_id: str, reach: Reach) -> dict[str, Any]:
        return await self._call("DELETE", f"/api/v1/failures/{quote(tenant_id, safe='')}?reach={reach}")

    async def failure_types(self) -> dict[str, Any]:
        return await self._call("GET", "/api/v1/failures/types")

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with self._session.request(
                method, self.url + path, json=body, timeout=self._timeout, allow_redirects=False
            ) as response:
                document = await response.json(content_type=None) if response.status != 204 else {}
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise SimulatorUnavailable("the simulator does not answer; is it running?") from error
        answer: dict[str, Any] = document if isinstance(document, dict) else {"items": document}
        if response.status >= 300:
            raise _refusal(response.status, answer)
        return answer


# What of a service its pods are made of, or their number.
_SHAPE: Final = ("desired", "cpu_millicores", "memory_mib", "gpu")


def _deployed(before: dict[str, Any], after: dict[str, Any]) -> Sequence[DeployedObject]:
    """What the simulator has made of a tenant: its namespace, and a deployment for each service."""
    known = {service["name"]: service for service in before.get("services", ())}
    made = [DeployedObject("Namespace", after["namespace"], "unchanged" if before else "created")]
    for service in after["services"]:
        old = known.pop(service["name"], None)
        same = old is not None and all(old[name] == service[name] for name in _SHAPE)
        status = "created" if old is None else "unchanged" if same else "configured"
        ready = f"{service['ready']}/{service['desired']}"
        made.append(DeployedObject("Deployment", service["name"], status, ready))
    return (*made, *(DeployedObject("Deployment", name, "pruned") for name in known))


def _refusal(status: int, answer: dict[str, Any]) -> Exception:
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    text = f"the simulator refused: {message or status}"
    if status >= 500 or status < 400:  # a redirect is followed by nobody
        return SimulatorUnavailable(text)
    return _BY_STATUS[status](text) if status in _BY_STATUS else ValidationFailed(text, fields=_fields(error))


def _fields(error: Any) -> list[dict[str, str]]:
    """The bad fields as the simulator names them: what it is asked has the names of what we are asked."""
    details = error.get("details") if isinstance(error, dict) else None
    fields = details.get("fields") if isinstance(details, dict) else None
    return [
        {"field": str(f.get("field", "")), "message": str(f.get("message", ""))}
        for f in (fields if isinstance(fields, list) else ())
        if isinstance(f, dict)
    ]


def _number(quantity: str, unit: str) -> int:
    return int(quantity.removesuffix(unit))
