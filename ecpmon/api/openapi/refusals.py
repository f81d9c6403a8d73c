"""Which error codes a route may give: what it declares, and what every route of its kind may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecpmon import errors
from ecpmon.api.middleware import AGENTS_HEED
from ecpmon.api.routing import Permission, Route
from ecpmon.errors import EcpError
from ecpmon.openapi.errors import REFUSALS
from ecpmon.openapi.facts import PARAMETER

_BODY: Final = (
    errors.RequestTimeout,
    errors.PayloadTooLarge,
    errors.UnsupportedEncoding,
    errors.DatabaseNotWritable,
)


def refusals_of(route: Route) -> dict[int, tuple[str, ...]]:
    """By status the codes, in order."""
    codes = {"INTERNAL_ERROR", *(e.code for e in _refusals(route))}
    if route.drops_4xx:
        codes = {_for_sender(code) for code in codes}
    if route.agent:
        codes = {_for_agent(code) for code in codes}
    found: dict[int, set[str]] = {}
    for code in codes:
        found.setdefault(REFUSALS[code].status, set()).add(code)
    return {status: tuple(sorted(found[status])) for status in sorted(found)}


def _for_sender(code: str) -> str:
    """As the middleware does for who gives up at any 4xx: 503 where sending again may help."""
    return "OVERLOADED" if REFUSALS[code].status in (408, 429) else code


def _for_agent(code: str) -> str:
    """As the middleware does for who sends other refusals again for ever."""
    status = REFUSALS[code].status
    return code if status >= 500 or status in AGENTS_HEED else "BAD_REQUEST"


def _refusals(route: Route) -> Iterator[type[EcpError]]:
    contract = route.contract
    yield errors.BadRequest
    if route.permission is not Permission.SCRAPE:
        yield from (errors.InvalidDemoMode, errors.DatabaseUnavailable)
    if route.permission is not Permission.OPEN:
        yield from (errors.Unauthorized, errors.Forbidden, errors.IdentityProviderUnavailable)
        yield from (errors.RateLimited, errors.Overloaded, errors.DatabaseUnavailable)
        if route.method != "GET":  # whatever has a body is read before its turn comes
            yield from _BODY
    if route.of_tenant:  # a row of it that somebody wrote by hand may be none that can be read
        yield from (errors.TenantNotFound, errors.Conflict)
    if any(name != "tenant_id" for name in PARAMETER.findall(route.path)):
        yield errors.NotFound
    if route.socket:
        yield errors.TooManySockets
    if route.permission not in (Permission.OPEN, Permission.SCRAPE, Permission.INGEST):
        yield errors.ValidationFailed  # of a query that it does not take
    if contract is not None:
        if contract.query is not None or contract.body is not None:
            yield errors.ValidationFailed
        yield from contract.refuses
