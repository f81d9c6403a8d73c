"""The facts of the simulator's document: its errors, headers, paths and clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ecpmon import errors
from ecpmon.errors import EcpError
from ecpmon.openapi.described import FILE
from ecpmon.openapi.document import document as made
from ecpmon.openapi.errors import REFUSALS as SHARED
from ecpmon.openapi.errors import Refusal, refusal
from ecpmon.openapi.facts import HERE, PARAMETER, Facts
from ecpmon.openapi.headers import GIVEN, TAKEN
from ecpmon.simulator.routing import DEMO_PATH, Route
from ecpmon.simulator.schemas import TENANT_PATTERN
from ecpmon.simulator.snapshot import StateNotSaved

PATHS: Final[Mapping[str, Mapping[str, Any]]] = {
    "tenant_id": {
        "type": "string",
        "pattern": TENANT_PATTERN,
        "description": "The tenant's name; neither `system` nor `types`.",
        "examples": ["acme"],
    },
    "file": FILE,
}
_ALWAYS_TAKEN: Final = ("X-Request-ID", "Accept-Language")
_TAKEN: Final = {name: TAKEN[name] for name in (*_ALWAYS_TAKEN, "If-None-Match")}
_GIVEN: Final = {
    name: GIVEN[name] for name in ("X-Request-ID", "Retry-After", "ETag", "Vary", "Content-Security-Policy")
}
# Modules that stand together.
_TAGS: Final = {
    "routes_reading": "metrics",
    "routes_tenants": "tenants",
    "routes_failures": "failures",
    "routes_time": "time",
    "routes_pages": "operations",
}
_CODES: Final = (
    "BAD_REQUEST", "FORBIDDEN", "TENANT_NOT_FOUND", "NOT_FOUND", "METHOD_NOT_ALLOWED", "CONFLICT", "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE", "EXPECTATION_FAILED", "VALIDATION_FAILED", "INTERNAL_ERROR",
)  # fmt: skip
REFUSALS: Final[Mapping[str, Refusal]] = {
    **{code: SHARED[code] for code in _CODES},
    StateNotSaved.code: refusal(
        StateNotSaved("cannot save to simulator.journal: no space left on device"),
        "The disk refuses the change. Nothing of the request was done.",
    ),
}
_DESCRIPTION: Final = f"""\
A deterministic cluster with tenants, workload and failures.

- Times are RFC 3339 in UTC with `Z`, and simulated: `/api/v1/clock` says how they pass.
- Whoever reaches it may do everything. There are no tokens.
- Another cluster, which has nothing in common with this one, is under `{DEMO_PATH}`: the same calls of tenants, \
metrics, failures and time.
- The first cluster is a Kubernetes API as well: `/version`, `/api`, `/apis`, `/api/v1/namespaces/…`, `/apis/…`, \
`/openapi/v2` and `/openapi/v3`, `/healthz`, `/livez`, `/readyz`. What these take and give is Kubernetes' own, and \
`/openapi/v3` says it; their errors are `Status` documents. `/kubeconfig` is for `kubectl`.
- Every other error has the shape `ErrorDocument`, unknown paths and wrong methods included; its message is in Korean \
when `Accept-Language` prefers it.
- `HEAD` is answered wherever `GET` is.
"""


class _Simulator(Facts[Route]):
    title = "ecpmon simulator"
    summary = "A simulated cluster for tenants of AI contact-centre services"
    description = _DESCRIPTION
    paths = PATHS
    taken = _TAKEN
    given = _GIVEN
    refusals = REFUSALS
    tags = _TAGS

    def refused(self, route: Route) -> Mapping[int, tuple[str, ...]]:
        return refusals_of(route)

    def takes(self, route: Route) -> tuple[str, ...]:
        return _ALWAYS_TAKEN

    def gives(self, status: int, route: Route | None) -> tuple[str, ...]:
        return ("X-Request-ID", "Retry-After") if status == 503 else ("X-Request-ID",)

    def told(self, route: Route) -> Mapping[str, Any]:
        alone = route.handler.__module__.endswith("routes_pages")
        return {"security": [], **({"servers": [HERE]} if alone else {})}


class _WithDemo(_Simulator):
    servers = (HERE, {"url": DEMO_PATH, "description": "The cluster of demo mode."})


def document(table: Sequence[Route], *, demo: bool) -> dict[str, Any]:
    """OpenAPI 3.1 of what these routes declare. `demo`: they are under `/demo` as well."""
    return made(table, _WithDemo() if demo else _Simulator())


def refusals_of(route: Route) -> dict[int, tuple[str, ...]]:
    """Which error codes a route may give, by status: what it declares, and what every route of its kind may."""
    found: dict[int, set[str]] = {}
    for code in {"INTERNAL_ERROR", *(error.code for error in _refusals(route))}:
        found.setdefault(REFUSALS[code].status, set()).add(code)
    return {status: tuple(sorted(found[status])) for status in sorted(found)}


def _refusals(route: Route) -> Iterator[type[EcpError]]:
    yield from (errors.BadRequest, errors.UnsupportedEncoding)
    names = PARAMETER.findall(route.path)
    if "tenant_id" in names and route.method != "PUT":  # which makes it
        yield errors.TenantNotFound
    if "file" in names:
        yield errors.NotFound
    if route.method != "GET":
        yield StateNotSaved
    if route.contract.body is not None:
        yield errors.PayloadTooLarge
    if route.contract.body is not None or route.contract.query is not None or route.method == "PUT":
        yield errors.ValidationFailed
    yield from route.contract.refuses
