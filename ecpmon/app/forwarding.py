"""The job that tells Alertmanagers of our alerts, on the leader."""

from __future__ import annotations

import asyncio
from typing import Final

from ecpmon.alerts.notifiers.alertmanager import AlertmanagerPeer
from ecpmon.app.deadman import Deadman
from ecpmon.app.stores import Surroundings
from ecpmon.jobs import Job
from ecpmon.model.leadership import Claim
from ecpmon.ports.alerts import StandingAlerts
from ecpmon.ports.leading import leading

# Seconds from a change to when it is told, at most.
SECONDS: Final = 5.0
# Seconds that a turn waits for one Alertmanager: one that hangs costs the other less than a turn.
PATIENCE: Final = 4.0


class Forwarding:
    """To each of the Alertmanagers that are set."""

    def __init__(self, alerts: StandingAlerts, around: Surroundings, deadman: Deadman) -> None:
        settings = around.settings
        self._deadman = deadman if settings.alertmanager_alive else None
        self._alerts = alerts
        self._clock = around.clock
        self._claim: Claim | None = None
        posts = around.telemetry.alertmanager_posts
        self._peers = [
            AlertmanagerPeer(
                around.session,
                url,
                settings.alertmanager_headers,
                PATIENCE,
                settings.external_url,
                lambda name, outcome, alerts: posts.labels(name, outcome).inc(alerts),
            )
            for url in (settings.alertmanager_send_urls or "").split(",")
            if url and not around.demo
        ]

    def jobs(self) -> list[Job]:
        """None where nobody is to be told."""
        return [Job("alertmanager", SECONDS, self.tell)] if self._peers else []

    async def tell(self) -> None:
        """One turn: what changed, and what has not been said for a while."""
        if self._claim != leading.get():
            self._claim = leading.get()
            for peer in self._peers:
                peer.forget()
        now = self._clock.now()
        standing = await self._alerts.standing(now)
        if self._deadman and (alive := self._deadman.alert()):
            standing[alive.identity] = alive
        await asyncio.gather(*(peer.tell(standing, now) for peer in self._peers))
