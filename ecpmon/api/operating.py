"""Deployment and monitoring as administrators set it (api.md §10), of the database that the request is about.

It concerns every tenant, so who does not see them all neither sees nor changes it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field

from ecpmon.alerts.targets import AddressGuard, TargetRefused, check_target
from ecpmon.api.auth import runs_the_cluster
from ecpmon.api.common import backend_of, now_of, read_model, reply
from ecpmon.api.context import CALLER, Backend
from ecpmon.api.routing import Permission, Routes
from ecpmon.errors import Forbidden, ValidationFailed
from ecpmon.model.operating import (
    METHODS,
    NEXT_START,
    Method,
    OperatingSettings,
    Stack,
    Stored,
    without_secrets,
)
from ecpmon.model.samples import Source
from ecpmon.openapi.declaring import TypedDict

routes = Routes()
# Whose evidence a stack does not bring.
_WITHOUT: Final = {"custom": Source.PROMETHEUS, "prometheus": Source.SIMULATOR}
_SIMULATORS: Final = AddressGuard(allow_loopback=True, allow_private=True)
_OF_SIMULATOR: Final = ("deploymentEndpoint", "customApiEndpoint")


class DeploymentSettingsShown(TypedDict):
    """What counts; null: nothing is configured."""

    deploymentMethod: Method
    deploymentEndpoint: str | None
    simulatorUrl: str | None
    validationStrict: bool


class MonitoringSettingsShown(TypedDict):
    """What counts; `customApiEndpoint` null: the metrics of `deploymentEndpoint`. Seconds and percent."""

    monitoringStack: Stack
    customApiEndpoint: str | None
    slaTarget: float
    realTimeMonitoring: bool
    dataCollectionInterval: float


class SettingShown(TypedDict):
    """`source`: whether it was set here or comes from the environment; `in_force`: what the process that answers goes
    by, which for a field that takes effect at the next start may be another than what is shown above."""

    source: Literal["stored", "environment"]
    takes_effect: Literal["at_once", "next_start"]
    in_force: str | float | bool | None


class SettingsShown(TypedDict):
    """`fields`: by name. `version` counts the changes; null: nobody has changed anything."""

    deployment: DeploymentSettingsShown
    monitoring: MonitoringSettingsShown
    fields: Annotated[
        dict[str, SettingShown],
        Field(
            examples=[{"slaTarget": {"source": "stored", "takes_effect": "at_once", "in_force": 99.9}}],
        ),
    ]
    version: int
    changed_at: datetime | None
    changed_by: str | None


@routes.get("/api/v1/settings", Permission.ADMINISTER, answers={200: SettingsShown})
async def get_settings(request: web.Request) -> web.Response:
    """Deployment and monitoring as they are set, where from, and when a change would count."""
    _check_reach(request)
    backend = backend_of(request)
    return reply(_shown(backend, await backend.operating.stored()))


@routes.put("/api/v1/settings", Permission.ADMINISTER, body=OperatingSettings, answers={200: SettingsShown})
async def put_settings(request: web.Request) -> web.Response:
    """Set what is named; null has the environment say it again. The answer is what counts from now on."""
    _check_reach(request)
    backend = backend_of(request)
    change = await read_model(request, OperatingSettings)
    if refused := [*_unconfigured(backend, change), *_unsafe(change), *await _silencing(backend, change)]:
        raise ValidationFailed("some settings cannot be had here", fields=refused)
    return reply(_shown(backend, await backend.operating.change(change, now_of(request))))


def _check_reach(request: web.Request) -> None:
    """Raises Forbidden."""
    if not runs_the_cluster(request[CALLER]):
        raise Forbidden("the settings concern every tenant: this needs an administrator of all of them")


def _unconfigured(backend: Backend, change: OperatingSettings) -> list[dict[str, str]]:
    """What needs something that this installation has not been given."""
    refused = []
    method = change.deployment.deploymentMethod
    if method is not None and not backend.demo and METHODS[method] not in backend.deployments.deployers:
        known = ", ".join(n for n, own in METHODS.items() if own in backend.deployments.deployers) or "none"
        message = f"is not configured here (configured: {known}); see docs/settings.md"
        refused.append({"field": "deployment.deploymentMethod", "message": message})
    for group in (change.deployment, change.monitoring):
        name = "deployment" if group is change.deployment else "monitoring"
        for field in _OF_SIMULATOR:
            if getattr(group, field, None) is not None and backend.simulator is None:
                message = "needs a simulator; set ECPMON_SIMULATOR_URL first"
                refused.append({"field": f"{name}.{field}", "message": message})
    return refused


def _unsafe(change: OperatingSettings) -> list[dict[str, str]]:
    """Where no simulator is. It may well be on loopback or in a private network, which administrators of every tenant
    may name; what tells machines their secrets is on neither."""
    asked = {
        "deployment.deploymentEndpoint": change.deployment.deploymentEndpoint,
        "monitoring.customApiEndpoint": change.monitoring.customApiEndpoint,
    }
    refused = []
    for field, url in asked.items():
        try:
            if url is not None:
                check_target(url, _SIMULATORS)
        except TargetRefused as error:
            refused.append({"field": field, "message": error.details["fields"][0]["message"]})
    return refused


async def _silencing(backend: Backend, change: OperatingSettings) -> list[dict[str, str]]:
    """A stack without the source by which tenants are judged: they would have gaps from then on."""
    source = _WITHOUT.get(change.monitoring.monitoringStack or "all")
    if source is None:
        return []
    standings = (await backend.directory.standings()).values()
    judged = Counter(s.tenant.evidence_source for s in standings if s.tenant is not None)[source]
    if not judged:
        return []
    message = f"{judged} tenants are judged by what {source.value} says; give them another sli_source first"
    return [{"field": "monitoring.monitoringStack", "message": message}]


def _shown(backend: Backend, stored: Stored) -> SettingsShown:
    counts = stored.settings.over(backend.operating.base)
    deployment, monitoring = counts.deployment, counts.monitoring
    return {
        "deployment": {
            "deploymentMethod": deployment.deploymentMethod or "k8s-simulator",
            "deploymentEndpoint": without_secrets(deployment.deploymentEndpoint),
            "simulatorUrl": deployment.simulatorUrl,
            "validationStrict": bool(deployment.validationStrict),
        },
        "monitoring": {
            "monitoringStack": monitoring.monitoringStack or "all",
            "customApiEndpoint": monitoring.customApiEndpoint,
            "slaTarget": counts.sla_target,
            "realTimeMonitoring": counts.real_time,
            "dataCollectionInterval": counts.interval,
        },
        "fields": _fields(backend, stored),
        "version": stored.version,
        "changed_at": stored.changed_at,
        "changed_by": stored.changed_by,
    }


def _fields(backend: Backend, stored: Stored) -> dict[str, SettingShown]:
    now, began = backend.operating.current.fields(), backend.operating.started_with.fields()
    return {
        name: {
            "source": "environment" if value is None else "stored",
            "takes_effect": "next_start" if name in NEXT_START else "at_once",
            "in_force": _plain(began[name] if name in NEXT_START else now[name]),
        }
        for name, value in stored.settings.fields().items()
    }


def _plain(value: Any) -> str | float | bool | None:
    shown: str | float | bool | None = (
        without_secrets(value) if isinstance(value, str) and "://" in value else value
    )
    return shown
