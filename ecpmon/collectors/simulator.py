"""Pulls the deployment simulator's metrics: readiness is the evidence, the rest is stored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import aiohttp
import orjson

from ecpmon.collectors.base import Collected, samples_in
from ecpmon.collectors.service_usage import USAGE_EVERY, is_usage_due, service_values
from ecpmon.errors import MonitoringUnavailable
from ecpmon.isolation import reason_of
from ecpmon.model.samples import Frame, Source
from ecpmon.model.tenants import Tenant
from ecpmon.names import COMPONENT_SEPARATOR, UP_METRIC
from ecpmon.ports.quarantine import Culprit

# A reply further from our clock than this is not taken: it would rewrite the past or the future.
MAX_SKEW: Final = timedelta(minutes=5)
MAX_REPLY_BYTES: Final = 64 * 2**20


# Of one reply most are the same.
@lru_cache(maxsize=64)
def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def parse_time(value: Any) -> datetime:
    """An RFC 3339 instant. Raises MonitoringUnavailable for anything else, naive times included."""
    try:
        ts = _instant(value)
        if ts.tzinfo is None:
            raise MonitoringUnavailable(f"the simulator sent a timestamp without a zone: {value!r}")
        return ts.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise MonitoringUnavailable(f"the simulator sent a timestamp that is none: {value!r}") from error


def frame_of(
    entry: Mapping[str, Any],
    tenant_id: str,
    interval: timedelta = USAGE_EVERY,
    tenant: int | None = None,
) -> Frame:
    """One tenant's entry of the simulator's reply. `ready` null says nothing about availability.

    `interval`: how often the simulator is asked, so that what services use is kept no more often than needed.
    """
    metrics = entry.get("metrics")
    values: dict[str, Any] = dict(metrics) if isinstance(metrics, Mapping) else {}
    values.pop(UP_METRIC, None)
    external = entry.get("external")
    if isinstance(external, Mapping):
        for posted in external.values():  # by the source that posted them
            named = posted.get("metrics") if isinstance(posted, Mapping) else None
            values.update(
                {f"external_{k}": v for k, v in named.items()} if isinstance(named, Mapping) else {}
            )
    ready = entry.get("ready")
    if isinstance(ready, bool):
        values[UP_METRIC] = 1 if ready else 0
        values.update(components_of(entry.get("services")))
    ts = parse_time(entry.get("timestamp"))
    if is_usage_due(ts, interval):
        # Whatever its metrics call themselves.
        values |= service_values(entry.get("services"))
    return Frame(tenant_id, Source.SIMULATOR, ts, samples_in(values, entry.get("counters")), tenant)


def components_of(services: Any) -> dict[str, int]:
    """`up.<service>` of every service that is meant to run: 1 when one of its pods can be reached."""
    found = {}
    for service in services if isinstance(services, list) else ():
        match service:
            case {"service": str(name), "desired": int(desired), "ready": int(ready)} if desired > 0:
                found[f"{UP_METRIC}{COMPONENT_SEPARATOR}{name}"] = 1 if ready > 0 else 0
            case _:
                continue  # scaled to nothing on purpose, or nothing we know
    return found


def parse(
    document: Any, wanted: Mapping[str, int], now: datetime, interval: timedelta = USAGE_EVERY
) -> Collected:
    """Frames of the wanted tenants (name -> number) from a reply of `GET /api/v1/metrics`.

    A bad entry costs its tenant only.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("tenants"), list):
        raise MonitoringUnavailable("the simulator's reply has no list of tenants")
    until = parse_time(document.get("timestamp"))
    if abs(until - now) > MAX_SKEW:
        raise MonitoringUnavailable(
            f"the simulator's clock says {until.isoformat()}, ours {now.isoformat()}; set them alike"
        )
    frames: list[Frame] = []
    troubles: dict[Culprit, str] = {}
    for entry in document["tenants"]:
        name = entry.get("tenant_id") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or name not in wanted:
            continue
        try:
            frame = frame_of(entry, name, interval, wanted[name])
        except Exception as error:  # noqa: BLE001 - whatever an entry holds, it is one tenant's
            troubles[name, ""] = reason_of(error)
            continue
        if abs(frame.ts - until) > MAX_SKEW:
            troubles[name, ""] = f"the simulator says it was observed at {frame.ts.isoformat()}"
        elif frame.samples:
            frames.append(frame)
    return Collected(tuple(frames), until, troubles)


class SimulatorCollector:
    """`Collector` for the simulator. One request per pull, whatever the number of tenants."""

    source = Source.SIMULATOR

    def __init__(self, session: aiohttp.ClientSession, url: str, interval: timedelta, timeout: float) -> None:
        self.interval = interval
        self.endpoint = url
        # Pulled instead of the simulator's own.
        self.custom: str | None = None
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        wanted = {t.tenant_id: t.key for t in tenants if t.deployed_to == "simulator"}
        return parse(await self._fetch(), wanted, now, self.interval)

    @property
    def url(self) -> str:
        """What is pulled the next time."""
        return self.custom or f"{self.endpoint}/api/v1/metrics"

    async def _fetch(self) -> Any:
        try:
            async with self._session.get(self.url, timeout=self._timeout, allow_redirects=False) as response:
                if response.status != 200:
                    raise MonitoringUnavailable(f"the simulator answers {response.status}")
                if (response.content_length or 0) > MAX_REPLY_BYTES:
                    raise MonitoringUnavailable("the simulator's reply is too large")
                return orjson.loads(await response.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise MonitoringUnavailable(
                f"the simulator does not answer: {error or type(error).__name__}"
            ) from error
