"""The same window for many tenants (docs/sla.md): chosen by a selector, laid once however often it is asked for."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Final, Literal

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.answers.common import Hint
from ecpmon.api.answers.maintenance import (
    ExclusionRow,
    Exclusions,
    ExclusionsApproved,
    ExclusionsRemoved,
)
from ecpmon.api.auth import caller_key, token_of
from ecpmon.api.common import backend_of, bad_field, now_of, read_model, reply
from ecpmon.api.context import CALLER
from ecpmon.api.maintenance import (
    MaintenanceBody,
    how_often,
    may_enter_the_past,
    planned_of,
    usual_rules,
    window_document,
)
from ecpmon.api.paths import path_uuid
from ecpmon.api.routing import Permission, Routes
from ecpmon.api.selecting import SelectorBody, chosen_tenants, own_tenants
from ecpmon.api.times import is_naive
from ecpmon.errors import Conflict, EcpError, InvalidPreset, LimitReached, NotFound, TenantNotFound
from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Tenant
from ecpmon.ports.exclusions import Laid
from ecpmon.sla.exclusion_rules import Rules, rules_at

routes = Routes()
# Of one request, and of one of its transactions: tenants are locked as long as one lasts.
MOST: Final = 5_000
AT_ONCE: Final = 100
_NAMESPACE: Final = uuid.UUID("0b6f6f3e-7f0b-4b43-9c53-5f3b0a4c7d11")


class ExclusionBody(MaintenanceBody):
    """A window as for one tenant. Asked again with the same `key`, it is the same request. `dry_run`: tell whom it
    would choose, and do nothing."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[StrictStr, Field(min_length=1, max_length=100)]
    tenants: SelectorBody
    dry_run: StrictBool = False


@routes.post(
    "/api/v1/exclusions",
    Permission.OPERATE,
    body=ExclusionBody,
    answers={200: Exclusions, 201: Exclusions},
    refuses=(Conflict, InvalidPreset, LimitReached),
)
async def lay(request: web.Request) -> web.Response:
    """Lay the same window on many tenants, a hundred in a transaction; asked again with its key, on whom it lacks."""
    backend, now = backend_of(request), now_of(request)
    body = await read_model(request, ExclusionBody)
    chosen, unknown = await chosen_tenants(request, body.tenants, "exclusion_tenants", MOST)
    planned = _planned(request, body, now)
    number = planned.laid_by or ""
    before = await backend.exclusions.requested(number, None if body.dry_run else _digest(body))
    if before is not None:
        # As it was asked for first: whom it chose, and what has begun meanwhile is not entered late for that.
        planned = replace(planned, created_at=before.requested_at)
    often = await backend.workers.run_for(
        caller_key(request), how_often, planned, planned.created_at, may_enter_the_past(request[CALLER])
    )
    outcomes = _Outcomes(unknown)
    if body.dry_run or not (chosen or before):
        outcomes.tell(chosen, "chosen")
        return reply(outcomes.document(planned, now))
    found = before or await backend.exclusions.request(
        number, _digest(body), [t.key for t in chosen], planned.created_by, planned.created_at
    )
    first = set(found.tenants)
    chosen = [t for t in await own_tenants(request) if t.key in first]
    for rules, own in _by_rules(chosen, planned.created_at, usual_rules(request)).items():
        for some in _parts(own):
            laid = await backend.exclusions.lay([t.key for t in some], rules.over(planned), often)
            outcomes.add(some, laid)
    if not outcomes.counts["laid"] + outcomes.counts["already"]:
        await backend.exclusions.withdraw(number)
    return reply(outcomes.document(planned, now), 201 if outcomes.counts["laid"] else 200)


@routes.post(
    "/api/v1/exclusions/{request_id}/approve",
    Permission.MANAGE_TENANTS,
    answers={200: ExclusionsApproved},
    refuses=(NotFound, Conflict),
)
async def approve(request: web.Request) -> web.Response:
    """Let what a request has laid count, on those of its tenants that the caller may change."""
    store, caller, now = backend_of(request).exclusions, request[CALLER], now_of(request)
    number = _number(request)

    async def work(keys: list[int]) -> list[int]:
        return await store.approve(keys, number, caller.name, token_of(caller), now)

    concerned = await _on_what_was_laid(request, number, work)
    answer: ExclusionsApproved = {
        "request_id": number,
        "approved": len(concerned),
        "tenants": concerned,
    }
    return reply(answer)


@routes.delete(
    "/api/v1/exclusions/{request_id}",
    Permission.OPERATE,
    answers={200: ExclusionsRemoved},
    refuses=(NotFound,),
)
async def remove(request: web.Request) -> web.Response:
    """Take back what a request has laid, from those of its tenants that the caller may change."""
    store, caller, now = backend_of(request).exclusions, request[CALLER], now_of(request)
    number = _number(request)

    async def work(keys: list[int]) -> list[int]:
        return await store.remove(keys, number, caller.name, now)

    concerned = await _on_what_was_laid(request, number, work)
    answer: ExclusionsRemoved = {"request_id": number, "removed": len(concerned), "tenants": concerned}
    return reply(answer)


async def _on_what_was_laid(
    request: web.Request, number: str, work: Callable[[list[int]], Awaitable[list[int]]]
) -> list[str]:
    """The tenants with whom it was done. Raises NotFound for a request that concerns no tenant of the caller's."""
    found = await backend_of(request).exclusions.requested(number)
    first = set(found.tenants if found else ())
    chosen = [t for t in await own_tenants(request) if t.key in first]
    if not chosen:
        raise NotFound("there is no such request for exclusions", details={"request_id": number})
    done: set[int] = set()
    for some in _parts(chosen):
        done.update(await work([t.key for t in some]))
    return [t.tenant_id for t in chosen if t.key in done]


def _planned(request: web.Request, body: ExclusionBody, now: datetime) -> Maintenance:
    """The same instants for everybody, so a wall-clock time says whose it is."""
    if body.time_zone is None and (body.rrule is not None or is_naive(body.start) or is_naive(body.end)):
        raise bad_field("time_zone", "say in which time zone this is: it is the same for every tenant")
    planned = planned_of(request, body, "UTC" if body.time_zone is None else body.time_zone, now)
    number = uuid.uuid5(_NAMESPACE, f"{planned.token or planned.created_by} {body.key}")
    return replace(planned, laid_by=str(number))


def _digest(body: ExclusionBody) -> str:
    asked = body.model_dump(mode="json", exclude={"key", "dry_run"})
    if body.tenants.labels is None:
        # Keys that were used before there were labels go on to name the same request.
        del asked["tenants"]["labels"]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _number(request: web.Request) -> str:
    return path_uuid(request, "request_id", "there is no such request for exclusions")


def _by_rules(tenants: Sequence[Tenant], at: datetime, usual: Rules) -> dict[Rules, list[Tenant]]:
    """What the window needs to count is said by each one's contract, as it was when that was asked for first."""
    found: dict[Rules, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        found[rules_at(tenant, at, usual)].append(tenant)
    return found


def _parts(tenants: Sequence[Tenant]) -> Iterator[Sequence[Tenant]]:
    return (tenants[n : n + AT_ONCE] for n in range(0, len(tenants), AT_ONCE))


class _Outcomes:
    """What became of each tenant, and how often what."""

    def __init__(self, unknown: Sequence[str]) -> None:
        """`unknown`: names that are nobody's, as far as the caller is told."""
        self.counts = Counter({"laid": 0, "already": 0, "taken_back": 0, "refused": len(unknown)})
        missing = [(name, _said(TenantNotFound(name))) for name in unknown]
        self._rows: list[ExclusionRow] = [
            {"tenant_id": name[:100], "outcome": "refused", "error": error} for name, error in missing
        ]

    def tell(self, tenants: Iterable[Tenant], outcome: Literal["chosen"]) -> None:
        for tenant in tenants:
            self.counts[outcome] += 1
            self._rows.append({"tenant_id": tenant.tenant_id, "outcome": outcome})

    def add(self, tenants: Iterable[Tenant], laid: Laid) -> None:
        for tenant in tenants:
            row = _row(tenant, laid)
            self.counts[row["outcome"]] += 1
            self._rows.append(row)

    def document(self, planned: Maintenance, now: datetime) -> Exclusions:
        answer: Exclusions = {
            "request_id": planned.laid_by or "",
            "window": window_document(planned, now),
            "laid": self.counts["laid"],
            "already": self.counts["already"],
            "taken_back": self.counts["taken_back"],
            "refused": self.counts["refused"],
            "tenants": self._rows,
        }
        if self.counts["chosen"]:
            answer["chosen"] = self.counts["chosen"]
        return answer


def _row(tenant: Tenant, laid: Laid) -> ExclusionRow:
    name = tenant.tenant_id
    if (error := laid.refused.get(tenant.key)) is not None:
        return {"tenant_id": name, "outcome": "refused", "error": _said(error)}
    if tenant.key in laid.gone:
        return {"tenant_id": name, "outcome": "taken_back"}
    if (new := laid.laid.get(tenant.key)) is not None:
        return {"tenant_id": name, "outcome": "laid", "maintenance_id": new}
    return {"tenant_id": name, "outcome": "already", "maintenance_id": laid.already.get(tenant.key)}


def _said(error: EcpError) -> Hint:
    return {"code": error.code, "message": error.message}
