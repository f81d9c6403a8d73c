"""The dead man's switch: an alert that always fires, so that somebody is told when it does not. Pure.

    alive    every job of `NEEDED` has succeeded within PATIENCE + TURNS * its period, or we began to lead since
    alive    -> it is said every `ECPMON_DEADMAN_SECONDS`
    stalled  -> nothing is said: whoever waits for it tells people

So it says that evaluation goes on, and not only that a process is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ecpmon.alerts.message import OPEN_END, alertmanager_body, fingerprint, rfc3339
from ecpmon.model.standing_alerts import Identity

NAME: Final = "ECPMonAlive"
# Who is told nothing when one of them does not go on.
NEEDED: Final = ("alerts", "rolling_sla", "objectives")
# Seconds.
PATIENCE: Final = 60.0
TURNS: Final = 5
# No tenant's, and no rule's of a tenant.
IDENTITY: Final = Identity("", "deadman", NAME, "none", None)
_SUMMARY: Final = "ecpmon evaluates; when this is not told any more, it does not"


def stalled(
    successes: Mapping[str, float | None], periods: Mapping[str, float], began: float, now: float
) -> list[str]:
    """The jobs that do not go on. All instants in seconds of one clock; `began`: since when this process leads."""
    return [
        job
        for job, last in successes.items()
        if now - max(last or began, began) > PATIENCE + TURNS * periods[job]
    ]


def message(began: datetime, external_url: str) -> dict[str, Any]:
    """The body that webhooks have, of one alert that fires since `began`."""
    labels = {name: value for name, value in IDENTITY.labels.items() if value}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": _SUMMARY},
        "startsAt": rfc3339(began),
        "endsAt": OPEN_END,
        "generatorURL": external_url,
        "fingerprint": fingerprint(labels),
    }
    return alertmanager_body([alert], {"alertname": NAME}, external_url)
