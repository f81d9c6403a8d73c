"""Alertmanager's webhook message, version 4 (api.md §5), read a little at a time.

One message holds alerts of many tenants: one that cannot be taken is left out and named, and costs no other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from ecpmon.api.common import parse_model
from ecpmon.api.entries import Element, members_of
from ecpmon.api.texts import check_width, mended
from ecpmon.api.times import nearest, parse_any_time
from ecpmon.errors import ValidationFailed
from ecpmon.openapi.declaring import field_errors
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.shapes import Model
from ecpmon.slices import Slices

# How Alertmanager writes "not over yet".
_OPEN_END: Final = datetime(1, 1, 1, tzinfo=UTC)
MAX_NAMED: Final = 20


def go_time(value: Any) -> datetime:
    """RFC 3339 as Go prints it, with up to nine digits after the second."""
    if not isinstance(value, str):
        raise ValueError("must be an RFC 3339 time")  # noqa: TRY004 - pydantic turns ValueError into a field error
    return parse_any_time(re.sub(r"(\.\d{6})\d+", r"\1", value))


GoTime = Annotated[datetime, BeforeValidator(go_time)]


class AlertBody(Model):
    """Newer Alertmanagers add fields; what is not known is ignored."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: GoTime
    endsAt: GoTime = _OPEN_END
    fingerprint: Annotated[str, Field(max_length=64, pattern=r"^[!-~]+$")]

    def told(self) -> ExternalAlert:
        return ExternalAlert(
            tenant_id=self.labels.get("tenant_id"),
            fingerprint=self.fingerprint,
            starts_at=nearest(self.startsAt),
            ends_at=None if self.endsAt == _OPEN_END else nearest(self.endsAt),
            status=self.status,
            alert_name=self.labels.get("alertname", ""),
            severity=self.labels.get("severity", "none"),
            labels=self.labels,
            annotations=self.annotations,
        )


class _Head(Model):
    """Everything of the message but its alerts."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    alerts: list[Any]
    # Alerts that Alertmanager left out itself, by the receiver's `max_alerts`.
    truncatedAlerts: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0


class AlertmanagerBody(_Head):
    """Alertmanager's webhook, version 4. It is read alert by alert: one that is not as it should be loses no other."""

    alerts: list[AlertBody]


@dataclass
class Message:
    """`refused`: the bad fields of the first `MAX_NAMED` alerts that cannot be taken."""

    alerts: list[ExternalAlert] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_count: int = 0
    truncated: int = 0

    def add(self, element: Element) -> None:
        try:
            if isinstance(element.value, dict):  # before anything is done, or said, for each of its labels
                check_width(element.value)
            # A text that cannot be stored does not lose the alert.
            self.alerts.append(AlertBody.model_validate(mended(element.value)).told())
        except (ValidationError, ValidationFailed) as error:
            self.refused_count += 1
            if self.refused_count <= MAX_NAMED:
                fields = (
                    field_errors(error) if isinstance(error, ValidationError) else error.details["fields"]
                )
                name = ".".join(filter(None, (element.name, str(element.place), fields[0]["field"])))
                self.refused.append({"field": name, "message": fields[0]["message"]})


async def message_of(body: bytes) -> Message:
    """The alerts of a message. Raises BadRequest (not JSON), PayloadTooLarge (an alert too large),
    ValidationFailed (no such message, or not one of its alerts can be taken)."""
    head: dict[str, Any] = {}
    whole: Any = head
    message, slices = Message(), Slices()
    async for part in members_of(body, "alerts"):
        if isinstance(part, Element):
            message.add(part)
        elif part.name is None:
            whole = part.value
        elif part.name in _Head.model_fields:
            head[part.name] = part.value
        await slices.pause()
    message.truncated = parse_model(whole, _Head).truncatedAlerts
    if message.refused and not message.alerts:
        raise ValidationFailed("none of the alerts can be taken", fields=message.refused)
    return message
