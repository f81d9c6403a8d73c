"""Emails against a real SMTP server (aiosmtpd) on loopback."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from ecpmon.alerts.notifiers.email import (
    NO_CONNECTION,
    EmailNotifier,
    SmtpServer,
)
from ecpmon.alerts.recipients import RecipientRefused, check_recipients
from ecpmon.model.alerts import (
    DeliveryOutcome,
    DeliveryReason,
    EmailAction,
    Notification,
    WebhookAction,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
OPS = EmailAction(("ops@example.com",))


@dataclass
class Mailbox:
    """What the server got, and what it answers."""

    server: SmtpServer
    messages: list[Envelope] = field(default_factory=list)
    data_answer: str = "250 accepted"
    rcpt_answers: dict[str, str] = field(default_factory=dict)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.rcpt_answers.get(address, "250 ok")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.data_answer.startswith("250"):
            self.messages.append(envelope)
        return self.data_answer

    def only_message(self) -> EmailMessage:
        assert len(self.messages) == 1
        content = self.messages[0].content
        assert isinstance(content, bytes)
        assert content.isascii()  # safe for servers without 8BITMIME
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


def refuse_login(*_: Any) -> AuthResult:
    return AuthResult(success=False, handled=False)


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox(SmtpServer("127.0.0.1", 0, "ecpmon@example.com"))
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        made = SMTP(box, loop=loop, hostname="test", auth_require_tls=False, authenticator=refuse_login)
        sessions.append(made)
        return made

    server = await loop.create_server(session, "127.0.0.1", 0)
    box.server = replace(box.server, port=server.sockets[0].getsockname()[1])
    yield box
    server.close()
    await server.wait_closed()
    for made in sessions:
        if made.transport is not None:
            made.transport.close()


def notification(action: EmailAction | WebhookAction = OPS, **changes: Any) -> Notification:
    alert = {
        "status": "firing",
        "labels": {"alertname": "CPU 사용률 높음", "tenant_id": "my-ai-service", "severity": "critical"},
        "annotations": {
            "summary": "CPU 사용률 높음 is firing: cpu_usage is 91.25",
            "condition": "cpu_usage > 80 and error_rate < 1",
            "current_value": "91.25",
            "threshold": "80",
        },
        "startsAt": "2026-03-01T12:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:8001/api/v1/tenants/my-ai-service/alerts/1",
    }
    made = Notification(
        id=1,
        idempotency_key="cd" * 16,
        tenant_key=7,
        tenant_id="my-ai-service",
        rule_id="rule-1",
        alert_name="CPU 사용률 높음",
        action=action,
        receiver="its receiver",
        payload={"status": "firing", "alerts": [alert]},
        attempt=0,
        created_at=NOW,
    )
    return replace(made, **changes)


async def test_a_message_in_text_and_html_with_korean(mailbox: Mailbox) -> None:
    result = await EmailNotifier(mailbox.server).deliver(notification(), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED)
    message = mailbox.only_message()
    assert message["Subject"] == "[FIRING] CPU 사용률 높음 (my-ai-service)"
    assert (message["From"], message["To"]) == ("ecpmon <ecpmon@example.com>", "ops@example.com")
    assert message["Message-ID"] == f"<{'cd' * 16}@example.com>"
    assert message["Date"].datetime == NOW
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "CPU 사용률 높음 is firing" in text.get_content()
    assert "current_value: 91.25" in text.get_content()
    assert "ended" not in text.get_content()
    assert "cpu_usage &gt; 80 and error_rate &lt; 1" in page.get_content()


async def test_names_cannot_add_headers_or_markup(mailbox: Mailbox) -> None:
    evil = "x\r\nBcc: victim@example.com\r\n\r\n\u2028<script>" + "y" * 500
    alerts = [{"status": "firing", "labels": {}, "annotations": {"summary": evil}}]
    sent = notification(alert_name=evil, payload={"status": "firing", "alerts": alerts})
    assert (await EmailNotifier(mailbox.server).deliver(sent, NOW)).outcome is DeliveryOutcome.DELIVERED
    message = mailbox.only_message()
    assert message["Bcc"] is None
    assert message["Subject"].startswith("[FIRING] x Bcc: victim@example.com <script>yyy")
    assert len(message["Subject"]) <= 200
    page = message.get_body(("html",))
    assert page is not None
    assert "<script>" not in page.get_content()
    assert mailbox.messages[0].rcpt_tos == ["ops@example.com"]


@pytest.mark.parametrize(
    ("answer", "outcome", "reason", "code"),
    [
        ("451 try later", DeliveryOutcome.RETRY, DeliveryReason.TEMPORARY_SMTP, 451),
        ("421 closing", DeliveryOutcome.RETRY, DeliveryReason.TEMPORARY_SMTP, 421),
        ("554 spam", DeliveryOutcome.PARK, DeliveryReason.REJECTED, 554),
    ],
)
async def test_refusals_of_the_message(
    mailbox: Mailbox, answer: str, outcome: DeliveryOutcome, reason: DeliveryReason, code: int
) -> None:
    mailbox.data_answer = answer
    result = await EmailNotifier(mailbox.server).deliver(notification(), NOW)
    assert (result.outcome, result.reason, result.status_code) == (outcome, reason, code)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"a@example.com": "550 unknown", "b@example.com": "550 unknown"}, DeliveryOutcome.PARK),
        ({"a@example.com": "450 greylisted", "b@example.com": "550 unknown"}, DeliveryOutcome.RETRY),
        ({"a@example.com": "550 unknown"}, DeliveryOutcome.DELIVERED),
    ],
)
async def test_refusals_of_recipients(
    mailbox: Mailbox, answers: dict[str, str], outcome: DeliveryOutcome
) -> None:
    mailbox.rcpt_answers = answers
    both = EmailAction(("a@example.com", "b@example.com"))
    result = await EmailNotifier(mailbox.server).deliver(notification(both), NOW)
    assert result.outcome is outcome
    assert "a@example.com" in result.error


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("554 5.7.1 refused by mail7.corp.internal [10.2.3.4]", "the mail server says 554 5.7.1"),
        ("451 10.2.3.4 is busy", "the mail server says 451"),
        ("554 5.10.20.30", "the mail server says 554"),
    ],
)
async def test_what_the_mail_server_says_is_shown_by_its_codes_alone(
    mailbox: Mailbox, answer: str, shown: str
) -> None:
    mailbox.data_answer = answer
    result = await EmailNotifier(mailbox.server).deliver(notification(), NOW)
    assert (result.error, result.answer) == (shown, "")
    assert answer[4:] in result.detail


async def test_refused_recipients_are_named_with_codes_alone(mailbox: Mailbox) -> None:
    mailbox.rcpt_answers = {"a@example.com": "550 5.1.1 unknown at 10.2.3.4"}
    both = EmailAction(("a@example.com", "b@example.com"))
    result = await EmailNotifier(mailbox.server).deliver(notification(both), NOW)
    assert result.error == "a@example.com: 550 5.1.1"
    alone = await EmailNotifier(mailbox.server).deliver(notification(EmailAction(("a@example.com",))), NOW)
    assert alone.error == "a@example.com: 550 5.1.1"


async def test_a_login_that_fails_is_our_trouble_not_the_messages(mailbox: Mailbox) -> None:
    server = replace(mailbox.server, username="ecpmon", password="wrong")
    assert "wrong" not in repr(server)
    result = await EmailNotifier(server).deliver(notification(), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.TEMPORARY_SMTP)


async def test_starttls_that_is_not_offered_is_not_skipped(mailbox: Mailbox) -> None:
    result = await EmailNotifier(replace(mailbox.server, security="starttls")).deliver(notification(), NOW)
    assert result.outcome is DeliveryOutcome.RETRY
    assert mailbox.messages == []


async def test_nobody_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    server = SmtpServer("127.0.0.1", port, "ecpmon@example.com")
    result = await EmailNotifier(server).deliver(notification(), NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.NETWORK)
    assert (result.error, str(port) in result.detail) == (NO_CONNECTION, True)


async def test_a_silent_server_is_given_up_in_time() -> None:
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        server = SmtpServer("127.0.0.1", port, "ecpmon@example.com")
        result = await EmailNotifier(server, timedelta(seconds=0.2)).deliver(notification(), NOW)
        release.set()
    assert (result.outcome, result.reason) == (DeliveryOutcome.RETRY, DeliveryReason.TIMEOUT)


async def test_another_kind_of_action_is_parked(mailbox: Mailbox) -> None:
    sent = notification(WebhookAction("https://a.example/"))
    result = await EmailNotifier(mailbox.server).deliver(sent, NOW)
    assert result.reason is DeliveryReason.NO_NOTIFIER


async def test_recipients_stored_before_a_check_existed_are_parked(mailbox: Mailbox) -> None:
    sent = notification(EmailAction(("ops@example.com\r\nRCPT TO:<x@example.com>",)))
    result = await EmailNotifier(mailbox.server).deliver(sent, NOW)
    assert (result.outcome, result.reason) == (DeliveryOutcome.PARK, DeliveryReason.REJECTED)


@pytest.mark.parametrize(
    "recipients",
    [
        [], ["a@example.com"] * 21, ["nobody"], ["a@"], ["@example.com"], ["a@b@example.com"], ["a b@example.com"],
        ["a@example.com\nBcc: x@example.com"], ["A <a@example.com>"], ["운영@example.com"], ["a@exa..mple.com"],
        ["a,b@example.com"], ['"a b"@example.com'], ["a@example.com>"],
    ],
)  # fmt: skip
def test_recipients_that_are_refused(recipients: list[str]) -> None:
    with pytest.raises(RecipientRefused):
        check_recipients(recipients)


def test_recipients_that_may_be_saved() -> None:
    assert check_recipients(["a.b+c@mail.example.com", "x@y"]) == ("a.b+c@mail.example.com", "x@y")
