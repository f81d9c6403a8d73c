"""The job that says that ecpmon is alive, on the leader (`alerts.deadman`)."""

from __future__ import annotations

from typing import Final

import aiohttp
import structlog

from ecpmon.alerts.deadman import IDENTITY, NEEDED, message, stalled
from ecpmon.app.stores import Surroundings
from ecpmon.jobs import Job, Jobs
from ecpmon.model.leadership import Claim
from ecpmon.model.standing_alerts import ToldAlert
from ecpmon.ports.leading import leading

_log = structlog.get_logger(__name__)
# Seconds.
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)


class Deadman:
    """Towards one receiver, and for the list that Alertmanagers are told."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._url = None if around.demo else around.settings.deadman_url
        self._jobs: Jobs | None = None
        self._claim: Claim | None = None
        self._began = around.clock.now()

    def watch(self, jobs: Jobs) -> None:
        """Those that have to go on."""
        self._jobs = jobs

    def jobs(self) -> list[Job]:
        """None where nobody waits for it."""
        return [Job("deadman", self._around.settings.deadman_seconds, self.say)] if self._url else []

    def alert(self) -> ToldAlert | None:
        """What fires while evaluation goes on."""
        return None if self._stalled() else ToldAlert(IDENTITY, self._began, None)

    async def say(self) -> None:
        """One message, unless what is needed does not go on. What cannot be sent is not sent later: the next one is."""
        jobs = self._stalled()
        if jobs:
            _log.error("deadman_silent", jobs=jobs)
        outcome = "withheld" if jobs else await self._send()
        self._around.telemetry.deadman.labels(outcome).inc()

    def _stalled(self) -> list[str]:
        if self._claim != leading.get():
            self._claim, self._began = leading.get(), self._around.clock.now()
        if self._jobs is None:
            return list(NEEDED)
        successes = {job: self._jobs.last_success(job) for job in NEEDED}
        now = self._around.clock.now().timestamp()
        return stalled(successes, self._jobs.periods, self._began.timestamp(), now)

    async def _send(self) -> str:
        body = message(self._began, self._around.settings.external_url)
        try:
            async with self._around.session.post(
                str(self._url), json=body, timeout=_TIMEOUT, allow_redirects=False
            ) as answer:
                if answer.status < 300:
                    return "sent"
                error = f"HTTP {answer.status}"
        except (aiohttp.ClientError, TimeoutError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        _log.warning("deadman_not_sent", error=error)
        return "failed"
