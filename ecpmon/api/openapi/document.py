"""The facts of the API's document: its errors, permissions, headers and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ecpmon.api.openapi.closes import closes_of
from ecpmon.api.openapi.recorded import recorded
from ecpmon.api.openapi.refusals import refusals_of
from ecpmon.api.paths import PATHS
from ecpmon.api.routing import ROLES, Permission, Route
from ecpmon.openapi import headers
from ecpmon.openapi.declaring import Contract
from ecpmon.openapi.document import document as made
from ecpmon.openapi.errors import REFUSALS
from ecpmon.openapi.facts import Facts

_ALWAYS_TAKEN: Final = ("X-Demo-Mode", "X-Request-ID", "Accept-Language", "X-Debug")
_ALWAYS_GIVEN: Final = ("X-Request-ID", "X-Debug-Info")
# Beside `X-Request-ID`, by status.
_RATES: Final = ("RateLimit-Policy", "RateLimit")
_GIVEN_WITH: Final = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After", *_RATES),
    503: ("Retry-After", *_RATES),
}
# Who asks these is counted by the request (docs/limits.md).
_UNCOUNTED: Final = (Permission.OPEN, Permission.INGEST)
# Modules that stand together.
_TAGS: Final = {
    "tenant_update": "tenants",
    "tenant_deletion": "tenants",
    "contracts": "tenants",
    "recommendations": "tenants",
    "pushing": "monitoring",
    "summary": "sla",
    "sla_annotations": "sla",
    "maintenance_preview": "maintenance",
    "whoami": "tokens",
    "statement_mail": "statements",
    "status_public": "status_pages",
    "exclusions": "maintenance",
    "backtest": "alerts",
    "webhook_keys": "webhooks",
    "recoveries": "webhooks",
    "health": "operations",
    "application": "operations",
    "described": "operations",
}
_DESCRIPTION: Final = """\
Monitors tenants of AI contact-centre services, computes their SLA and orchestrates their deployments.

- Times are RFC 3339 in UTC with `Z`; percentages are numbers from 0 to 100 unless the field is a string such as \
`99.9%`; CPU is in millicores (`45000m`), memory in Kubernetes quantities (`64Gi`).
- `HEAD` is answered wherever `GET` is.
- A query parameter that the route does not know, or that is given more than once, is refused (422 \
`VALIDATION_FAILED`), but for probes, pages, `/metrics` and what takes samples and alerts.
- A key that stands twice in an object of a body is refused alike, but for what takes samples and alerts, where the \
last one counts.
- Every error has the shape `ErrorDocument`, unknown paths (404 `NOT_FOUND`), wrong methods (405 `METHOD_NOT_ALLOWED`, \
with `Allow`) and an `Expect` that cannot be met (417 `EXPECTATION_FAILED`) included.
- Answers may get further fields; read over what you do not know.
- WebSockets are under `x-websockets`.
"""
_SECURITY: Final[Mapping[Permission, list[dict[str, Any]]]] = {
    Permission.OPEN: [],
    Permission.SCRAPE: [{}, {"bearer": []}],
}

_SCHEMES: Final = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "`Authorization: Bearer <token>`. A browser's WebSocket offers the sub-protocols `bearer` "
        "and the token.",
    }
}


class _Api(Facts[Route]):
    title = "ecpmon"
    summary = "Multi-tenant SLA monitor and orchestrator"
    description = _DESCRIPTION
    paths = PATHS
    taken = headers.TAKEN
    given = headers.GIVEN
    refusals = REFUSALS
    tags = _TAGS
    schemes = _SCHEMES

    def refused(self, route: Route) -> Mapping[int, tuple[str, ...]]:
        return refusals_of(route)

    def takes(self, route: Route) -> tuple[str, ...]:
        scraped = route.permission is Permission.SCRAPE
        return tuple(name for name in _ALWAYS_TAKEN if not (scraped and name == "X-Demo-Mode"))

    def gives(self, status: int, route: Route | None) -> tuple[str, ...]:
        rates = () if route is None or route.permission in _UNCOUNTED else _RATES
        return (*_ALWAYS_GIVEN, *rates, *_GIVEN_WITH.get(status, ()))

    def told(self, route: Route) -> Mapping[str, Any]:
        return {
            "security": _SECURITY.get(route.permission, [{"bearer": []}]),
            "x-permission": route.permission.value,
            "x-roles": sorted(ROLES[route.permission]),
        }

    def note(self, route: Route) -> str:
        roles = sorted(ROLES[route.permission])
        return f"Needs one of the roles {', '.join(f'`{r}`' for r in roles)}." if roles else ""

    def closes(self, contract: Contract) -> Mapping[int, str]:
        return closes_of(contract)

    def recorded(self, method: str, path: str, what: str) -> Any:
        return recorded(method, path, what)


API: Final = _Api()


def document(table: Sequence[Route]) -> dict[str, Any]:
    """OpenAPI 3.1 of what these routes declare."""
    return made(table, API)
