"""What a deployment burned of the error budget within its hour (api.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from aiohttp import web

from ecpmon.api.common import backend_of, minutes, now_of, percent, worked_out
from ecpmon.api.tenant_shapes import Percent
from ecpmon.api.times import EARLIEST, LATEST
from ecpmon.model.deployments import DeploymentRecord
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.sums import Mark
from ecpmon.model.tenants import Tenant
from ecpmon.model.windows import Tally
from ecpmon.openapi.declaring import TypedDict
from ecpmon.sla.gate import ATTRIBUTED
from ecpmon.sla.ledger import Question, question
from ecpmon.sla.parts import Terms
from ecpmon.sla.terms import effort_of, off_between


class MinutesBounds(TypedDict):
    """What it would be if all that nobody measured, and all that is in doubt, had been up, and down."""

    low: float | None
    high: float | None


class Burned(TypedDict):
    """Budget minutes burned within the deployment's hour, and how much of it was measured."""

    burned_minutes: float | None
    burned_bounds: MinutesBounds
    burned_coverage: Percent | None


_JUST_BEGUN: Final = Tally(0.0, 0.0, 0.0)


def _charge(found: Tally | None) -> Burned:
    """Budget minutes burned within the deployment's hour, and how much of it was measured.

    None when nothing was measured in it; of one that has just begun there is nothing to measure yet.
    """
    if found is None:
        return {
            "burned_minutes": None,
            "burned_bounds": {"low": None, "high": None},
            "burned_coverage": None,
        }
    known = found is _JUST_BEGUN or found.measured > 0
    return {
        "burned_minutes": minutes(found.down) if known else None,
        "burned_bounds": {
            "low": minutes(max(found.down - found.late, 0.0)),
            "high": minutes(min(found.down + found.gap + found.early, found.eligible)),
        },
        "burned_coverage": percent(found.measured / found.eligible) if found.eligible > 0 else None,
    }


async def burned_by(request: web.Request, tenant: Tenant, record: DeploymentRecord) -> Burned:
    """Raises Overloaded."""
    return _charge(await _burned(request, tenant, record))


async def _burned(request: web.Request, tenant: Tenant, record: DeploymentRecord) -> Tally | None:
    """The deployment's hour; None for the row of a tenant nobody deployed.

    None as well for a row whose time cannot be: nothing was measured then.
    """
    began = record.requested_at
    if began is None or not EARLIEST <= began < LATEST:
        return None
    backend, now = backend_of(request), now_of(request)
    until = min(began + ATTRIBUTED, now)
    if until <= began:
        return _JUST_BEGUN
    planned = await backend.maintenance.of_tenant(tenant)
    much = effort_of(tenant, planned)
    asked = await worked_out(request, tenant, much, _question, tenant, planned, began, until)
    days = await backend.availability.coarse_days(tenant, began, until)
    marks = await backend.window_sums.marks(tenant, asked.instants, now, coarse=days, present=until == now)
    return await worked_out(request, tenant, much, _charged, asked, marks, days, began, until)


def _question(tenant: Tenant, planned: Sequence[Maintenance], began: datetime, until: datetime) -> Question:
    off = off_between(tenant, planned, began, until)
    return question(until, Terms(off.maintenance, outside=off.outside), (), (began,))


def _charged(
    asked: Question,
    marks: Mapping[datetime, Mark],
    by_minute: Sequence[date],
    began: datetime,
    until: datetime,
) -> Tally:
    known = asked.known(marks, by_minute)
    early, late = known.unseen(began, until)
    return replace(known.tally(began, until), early=early, late=late)
