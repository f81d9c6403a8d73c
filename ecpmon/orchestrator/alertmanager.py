"""What Alertmanager's own list says about alerts (`GET /api/v2/alerts`), for incidents that are due."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import aiohttp
import orjson

from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.recovery import AlertList, AlertStanding

# Alerts of one name and a few tenants; more is an answer to something else.
MAX_REPLY_BYTES: Final = 2 * 2**20
_TENANT: Final = "tenant_id"


class Alertmanager:
    """`ports.AlertSource`."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], timeout: float
    ) -> None:
        self._session = session
        self._url = f"{url}/api/v2/alerts"
        self._headers = dict(headers)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def alerts(self, alert_name: str, tenants: Collection[str]) -> AlertList:
        """Those of this name that are about one of `tenants`, or name none. Raises MonitoringUnavailable."""
        query = [("filter", f"alertname={_quoted(alert_name)}"), ("filter", _tenant_filter(tenants))]
        try:
            async with self._session.get(
                self._url, params=query, headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as answer:
                if answer.status != 200:
                    raise MonitoringUnavailable(f"Alertmanager answered {answer.status}")
                body = await _bounded(answer)
            return AlertList(standings_of(orjson.loads(body)))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise MonitoringUnavailable("Alertmanager does not answer") from error


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_chunked(2**16):
        body += part
        if len(body) > MAX_REPLY_BYTES:
            raise MonitoringUnavailable(f"Alertmanager's answer has more than {MAX_REPLY_BYTES} bytes")
    return bytes(body)


def standings_of(document: Any) -> dict[tuple[str, str], AlertStanding]:
    """(tenant, fingerprint) -> standing, from the reply (pure). Raises MonitoringUnavailable for anything else."""
    if not isinstance(document, list):
        raise MonitoringUnavailable("Alertmanager sent no list of alerts")
    try:
        return {
            (alert["labels"].get(_TENANT, ""), alert["fingerprint"]): (
                AlertStanding.SILENCED if alert["status"]["state"] == "suppressed" else AlertStanding.FIRING
            )
            for alert in document
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise MonitoringUnavailable("Alertmanager sent no list of alerts") from error


def _tenant_filter(tenants: Collection[str]) -> str:
    """Matches who names no tenant as well."""
    names = "|".join(re.escape(name) for name in sorted(tenants))
    return f"{_TENANT}=~{_quoted(f'({names})?')}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
