"""Telling one Alertmanager of our alerts (`POST /api/v2/alerts`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson
import structlog

from ecpmon.alerts.forwarding import Telling, due, is_over, posting
from ecpmon.model.standing_alerts import Identity, ToldAlert

_log = structlog.get_logger(__name__)
# As many as Prometheus sends at once.
BATCH: Final = 256
_EXCERPT: Final = 300
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class AlertmanagerPeer:
    """One Alertmanager, and what it was told. Each of a pair is told everything: they deduplicate among themselves."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        external_url: str,
        on_post: Callable[[str, str, int], None],
    ) -> None:
        """`timeout` in seconds of one request; `on_post` is told the Alertmanager's host and port, the outcome (taken,
        refused, away) and of how many alerts."""
        parts = urlsplit(url)
        # Without a name and password that may stand in it.
        self.name = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        self._url = f"{url}/api/v2/alerts"
        self._session = session
        self._headers = {**headers, "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._external_url = external_url
        self._on_post = on_post
        self._told: dict[Identity, Telling] = {}
        self._away = False

    def forget(self) -> None:
        """Another process may have told it something else meanwhile."""
        self._told.clear()

    async def tell(self, standing: Mapping[Identity, ToldAlert], now: datetime) -> None:
        """Tell what is due. Who cannot be reached is told at the next turn. Never raises for what Alertmanager does."""
        for identity in [i for i, last in self._told.items() if is_over(last.alert, now)]:
            del self._told[identity]
        alerts = due(self._told, standing, now)
        for first in range(0, len(alerts), BATCH):
            part = alerts[first : first + BATCH]
            if not await self._post(part, now):
                self._told = {i: replace(last, at=_LONG_AGO) for i, last in self._told.items()}
                return
            self._told.update({alert.identity: Telling(alert, now) for alert in part})

    async def _post(self, alerts: Sequence[ToldAlert], now: datetime) -> bool:
        """Whether it was taken, or will never be."""
        body = orjson.dumps([posting(alert, self._external_url, now) for alert in alerts])
        try:
            outcome, words = await self._ask(body)
        except (aiohttp.ClientError, TimeoutError) as error:
            outcome, words = "away", f"{type(error).__name__}: {error}"
        self._on_post(self.name, outcome, len(alerts))
        if outcome != "taken" and not self._away:
            _log.warning(
                "alertmanager_not_told",
                alertmanager=self.name,
                outcome=outcome,
                alerts=len(alerts),
                error=words,
            )
        self._away = outcome == "away"
        return outcome != "away"

    async def _ask(self, body: bytes) -> tuple[str, str]:
        post: dict[str, Any] = {"data": body, "headers": self._headers, "timeout": self._timeout}
        async with self._session.post(self._url, allow_redirects=False, **post) as answer:
            if answer.status // 100 == 2:  # what stands before it may say that it was accepted, or nothing
                return "taken", ""
            words = (await answer.content.read(_EXCERPT)).decode("utf-8", "replace")
            # It keeps those of the others that are as they should be, and sending it again would change nothing.
            return ("refused" if answer.status == 400 else "away"), f"HTTP {answer.status} {words}"
