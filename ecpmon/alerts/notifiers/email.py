"""Email by aiosmtplib: plain text and HTML of the same alert."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any, Final

import aiosmtplib

from ecpmon.alerts.recipients import RecipientRefused, check_recipients
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    DeliveryResult,
    EmailAction,
    Notification,
)

TIMEOUT: Final = timedelta(seconds=20)
SUBJECT_LENGTH: Final = 200
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
# Trouble between us and our own server: says nothing about the message, so it is tried again.
_OWN_SERVER: Final = (
    aiosmtplib.SMTPAuthenticationError,
    aiosmtplib.SMTPHeloError,
    aiosmtplib.SMTPConnectResponseError,
)


NO_ANSWER: Final = "no answer of the mail server in time"
NO_CONNECTION: Final = "no connection to the mail server"
NOT_LET_IN: Final = "the mail server does not serve ecpmon at the moment"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over. `security`: `none`, `starttls` or `tls`."""

    host: str
    port: int
    sender: str
    security: str = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class EmailNotifier:
    """Delivers to `EmailAction`s through one SMTP server."""

    def __init__(self, server: SmtpServer, timeout: timedelta = TIMEOUT) -> None:
        check_recipients([server.sender])
        self._server = server
        self._timeout = timeout.total_seconds()

    async def deliver(self, notification: Notification, now: datetime) -> DeliveryResult:
        """Hand the message over. 4xx and network errors ask for a retry, a refusal of the message parks."""
        action = notification.action
        if not isinstance(action, EmailAction):
            return DeliveryResult(
                DeliveryOutcome.PARK, DeliveryReason.NO_NOTIFIER, error=f"not an email: {action.type}"
            )
        try:
            recipients = check_recipients(action.recipients)
            message = compose(notification, self._server.sender, recipients, now)
            refused, answer = await self._send(message, recipients)
        except RecipientRefused as error:
            return DeliveryResult(DeliveryOutcome.PARK, DeliveryReason.REJECTED, error=error.message)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return failure(error)
        # With several recipients some may be refused; sending again would repeat it to the others.
        left_out = "; ".join(f"{name}: {_said(r.code, r.message)}" for name, r in refused.items())
        return DeliveryResult(
            DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, 250, error=left_out, detail=answer[:500]
        )

    async def _send(
        self, message: EmailMessage, recipients: tuple[str, ...]
    ) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        server = self._server
        return await aiosmtplib.send(
            message,
            sender=server.sender,
            recipients=list(recipients),
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            timeout=self._timeout,
        )


def failure(error: Exception) -> DeliveryResult:
    """What went wrong, in one of our own sentences: the server's may name machines of our network."""
    codes = _codes(error)
    detail = f"{type(error).__name__}: {error}"[:500]
    code = max(codes, default=None)
    if codes and min(codes) >= 500 and not isinstance(error, _OWN_SERVER):
        reason, outcome = DeliveryReason.REJECTED, DeliveryOutcome.PARK
        return DeliveryResult(outcome, reason, code, error=_refusal(error), detail=detail)
    if codes:
        reason, outcome = DeliveryReason.TEMPORARY_SMTP, DeliveryOutcome.RETRY
        return DeliveryResult(outcome, reason, code, error=_refusal(error), detail=detail)
    late = isinstance(error, TimeoutError)
    reason = DeliveryReason.TIMEOUT if late else DeliveryReason.NETWORK
    return DeliveryResult(
        DeliveryOutcome.RETRY, reason, error=NO_ANSWER if late else NO_CONNECTION, detail=detail
    )


def _refusal(error: Exception) -> str:
    if isinstance(error, _OWN_SERVER):
        return NOT_LET_IN
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{r.recipient}: {_said(r.code, r.message)}" for r in error.recipients)[:500]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"the mail server says {_said(error.code, error.message)}"
    return NO_CONNECTION


def _said(code: int, message: str) -> str:
    """The codes of an SMTP reply (RFC 5321, RFC 3463) without its text."""
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)", message)
    return f"{code} {enhanced[0]}" if enhanced else str(code)


def _codes(error: Exception) -> list[int]:
    """The reply codes in `error`. When every recipient was refused, one soft refusal is worth a retry."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return [refusal.code for refusal in error.recipients]
    return [error.code] if isinstance(error, aiosmtplib.SMTPResponseException) else []


def compose(
    notification: Notification, sender: str, recipients: tuple[str, ...], now: datetime
) -> EmailMessage:
    """The message. User text goes into headers without line breaks, and into HTML escaped."""
    alerts = notification.payload.get("alerts") or [{}]
    status = str(notification.payload.get("status", ""))
    message = EmailMessage(policy=SMTP)
    subject = f"[{status.upper()}] {notification.alert_name} ({notification.tenant_id})"
    message["Subject"] = " ".join(_BREAKS.sub(" ", subject).split())[:SUBJECT_LENGTH]
    message["From"] = Address(display_name="ecpmon", addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    message["Date"] = now
    message["Message-ID"] = f"<{notification.idempotency_key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Ecp-Idempotency-Key"] = notification.idempotency_key
    message.set_content("\n\n".join(_as_text(alert) for alert in alerts) + "\n", cte="quoted-printable")
    message.add_alternative(_as_html(alerts), subtype="html", cte="quoted-printable")
    return message


def _rows(alert: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What people read, top to bottom."""
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    rows = {
        "status": alert.get("status"),
        "tenant": labels.get("tenant_id"),
        "severity": labels.get("severity"),
        **{name: notes.get(name) for name in ("condition", "metric", "current_value", "threshold")},
        "started": alert.get("startsAt"),
        "ended": alert.get("endsAt") if alert.get("status") == "resolved" else None,
        "details": alert.get("generatorURL"),
    }
    return [(name, str(value)) for name, value in rows.items() if value is not None]


def _as_text(alert: Mapping[str, Any]) -> str:
    lines = [str(alert.get("annotations", {}).get("summary", "")), ""]
    return "\n".join([*lines, *(f"{name}: {value}" for name, value in _rows(alert))])


def _as_html(alerts: Iterable[Mapping[str, Any]]) -> str:
    parts = ['<!doctype html><html><head><meta charset="utf-8"></head><body>']
    for alert in alerts:
        parts.append(
            f"<p><b>{html.escape(str(alert.get('annotations', {}).get('summary', '')))}</b></p><table>"
        )
        parts += [
            f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
            for name, value in _rows(alert)
        ]
        parts.append("</table>")
    return "\n".join([*parts, "</body></html>\n"])
