"""The API's own Prometheus series. A tenant's name appears only once the tenant is known to exist."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class Measures:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._tenant_requests = Counter(
            "ecp_tenant_requests",
            "API requests about a tenant.",
            ["tenant_id", "method", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "ecp_http_request_duration_seconds",
            "Time to answer a request.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.sockets = Gauge("ecp_websocket_clients", "Open WebSockets.", ["kind"], registry=registry)

    def count(
        self, route: str, method: str, status: int, seconds: float | None, tenant_id: str | None
    ) -> None:
        """Account for a request; a socket's life is not a response time, so its `seconds` are None."""
        known = method if method in _METHODS else "other"
        if seconds is not None:
            self._seconds.labels(route, known, str(status)).observe(seconds)
        if tenant_id is not None:
            self._tenant_requests.labels(tenant_id, known, str(status)).inc()

    def forget(self, tenant_id: str) -> None:
        """Series of deleted tenants disappear."""
        self._tenant_requests.remove_by_labels({"tenant_id": tenant_id})


MEASURES: web.AppKey[Measures] = web.AppKey("ecpmon_measures", Measures)
