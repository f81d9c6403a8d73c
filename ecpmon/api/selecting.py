"""Which tenants a request is about: chosen by a selector, among those that the caller may change."""

from __future__ import annotations

from typing import Annotated, Final

from aiohttp import web
from pydantic import ConfigDict, Field, StrictBool, StrictStr

from ecpmon.api.common import backend_of, bad_field
from ecpmon.api.context import CALLER
from ecpmon.api.tenant_bodies import MOST_LABELS, LabelName, LabelValue, check_preset
from ecpmon.errors import LimitReached
from ecpmon.model.tenants import Tenant, TenantStatus
from ecpmon.shapes import Model
from ecpmon.sla.exclusions import selected

_SAID: Final = ("tenant_ids", "name", "preset", "status", "labels")


class SelectorBody(Model):
    """Whom it is for: every tenant that the caller may change and for which all that is said holds. `name`: `*` is any
    text; `labels`: it has all of them, with these values. At least one is said; `all` says that all are meant."""

    model_config = ConfigDict(extra="forbid")

    all: StrictBool = False
    tenant_ids: Annotated[list[StrictStr], Field(min_length=1, max_length=1_000)] | None = None
    name: Annotated[StrictStr, Field(min_length=1, max_length=100)] | None = None
    preset: StrictStr | None = None
    status: StrictStr | None = None
    labels: (
        Annotated[
            dict[LabelName, LabelValue],
            Field(min_length=1, max_length=MOST_LABELS, examples=[{"region": "seoul"}]),
        ]
        | None
    ) = None


async def own_tenants(request: web.Request) -> list[Tenant]:
    """The live tenants that the caller may change, by number."""
    found = (s.tenant for s in (await backend_of(request).directory.standings()).values())
    return sorted((t for t in found if t is not None and request[CALLER].may_see(t)), key=lambda t: t.key)


async def chosen_tenants(
    request: web.Request, body: SelectorBody, limit: str, most: int
) -> tuple[list[Tenant], list[str]]:
    """Whom a selector chooses, and names in it that are nobody's, or nobody's of the caller's.

    Raises ValidationFailed for one that says nothing, LimitReached for too many.
    """
    said = [name for name in _SAID if getattr(body, name) is not None]
    if body.all == bool(said):
        raise bad_field("tenants", f"say all, or which ones: {', '.join(_SAID)}")
    if body.status is not None and body.status not in list(TenantStatus):
        raise bad_field("tenants.status", f"known are {', '.join(TenantStatus)}")
    preset, own = check_preset(body.preset), await own_tenants(request)
    names = None if body.tenant_ids is None else set(body.tenant_ids)
    chosen = [
        t
        for t in own
        if selected(names, body.name, t.tenant_id)
        and preset in (None, t.preset)
        and body.status in (None, t.status)
        and (body.labels or {}).items() <= t.labels.items()
    ]
    if len(chosen) > most:
        raise LimitReached(
            f"this chooses {len(chosen)} tenants, and at most {most} are possible; choose in parts",
            limit=limit,
            most=most,
        )
    return chosen, sorted((names or set()) - {t.tenant_id for t in own})
