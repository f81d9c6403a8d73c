"""What of our alerts Alertmanagers are told, and when. Pure.

Alertmanager keeps an alert for as long as its `endsAt` says and forgets it otherwise, so it is told again and again. To
one Alertmanager, of one alert (its labels are what it is; docs/alerts.md):

    unknown    fires                  -> told as firing
    firing     goes on                -> told again after RESEND
    firing     has ended, or is gone  -> told as ended
    firing     ended, fires anew      -> told as firing, with its new beginning
    ended      goes on                -> told again after RESEND, for ENDED after its end; then unknown

    endsAt of what fires = now + HOLDS, HOLDS = 4 * RESEND

so it ends there by itself when we are away for longer than HOLDS - RESEND. Whoever was not reached may have forgotten
everything, and is told everything as soon as it can be. After a restart of ours nobody was told anything: everything is
told once more, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from ecpmon.alerts.message import rfc3339
from ecpmon.alerts.syntax import format_number
from ecpmon.model.standing_alerts import ENDED, Identity, ToldAlert

# As Prometheus sends them.
RESEND: Final = timedelta(minutes=1)
HOLDS: Final = 4 * RESEND


@dataclass(frozen=True, slots=True)
class Telling:
    """What one Alertmanager was told of an alert last, and when."""

    alert: ToldAlert
    at: datetime


def due(
    told: Mapping[Identity, Telling], standing: Mapping[Identity, ToldAlert], now: datetime
) -> list[ToldAlert]:
    """Whom to tell of now, given what stands and what ended lately."""
    found = []
    for identity, alert in standing.items():
        last = told.get(identity)
        if last is None or alert.changed_since(last.alert) or _is_late(last, now):
            found.append(alert)
    for identity in told.keys() - standing.keys():
        last = told[identity]
        if last.alert.ends_at is None:
            found.append(replace(last.alert, ends_at=now))
        elif _is_late(last, now) and not is_over(last.alert, now):
            found.append(last.alert)
    return found


def is_over(alert: ToldAlert, now: datetime) -> bool:
    """Whether it ended so long ago that nobody is told any more."""
    return alert.ends_at is not None and now >= alert.ends_at + ENDED


def _is_late(last: Telling, now: datetime) -> bool:
    """A clock that stepped back makes nobody wait for longer."""
    return not last.at <= now < last.at + RESEND


def posting(alert: ToldAlert, external_url: str, now: datetime) -> dict[str, Any]:
    """One element of `POST /api/v2/alerts`."""
    identity, url = alert.identity, external_url.rstrip("/")
    word = "is firing" if alert.ends_at is None else "is resolved"
    whose = f" for {identity.tenant_id}" if identity.tenant_id else ""
    tail = f": {alert.condition}" if alert.condition else ""
    return {
        # It strips those that are empty.
        "labels": {name: value for name, value in identity.labels.items() if value},
        "annotations": {
            "summary": f"{identity.alert_name} {word}{whose}{tail}",
            **({"condition": alert.condition} if alert.condition else {}),
            **({"current_value": format_number(alert.value)} if alert.value is not None else {}),
        },
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": rfc3339(alert.ends_at or now + HOLDS),
        "generatorURL": f"{url}/api/v1/tenants/{identity.tenant_id}/alerts/{identity.rule_id}"
        if whose
        else url,
    }
