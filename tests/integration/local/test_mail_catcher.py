"""The mail catcher, by SMTP and HTTP as programs use it."""

from __future__ import annotations

import asyncio
import email.policy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
import pytest
from aiohttp.test_utils import TestServer

from ecpmon.alerts.notifiers.email import EmailNotifier, SmtpServer
from ecpmon.local.catcher import create_pages, smtp_factory
from ecpmon.local.mailbox import Mailbox
from ecpmon.model.alerts import DeliveryOutcome, EmailAction, Notification

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Catcher:
    box: Mailbox
    smtp_port: int
    pages: str
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.pages + path) as answer:
            assert "default-src 'none'" in answer.headers.get("Content-Security-Policy", "default-src 'none'")
            if answer.content_type == "application/json":
                return answer.status, await answer.json()
            return answer.status, await answer.read()

    async def messages(self) -> list[dict[str, Any]]:
        status, body = await self.get("/messages")
        assert status == 200
        found: list[dict[str, Any]] = body["messages"]
        return found

    async def send(self, message: EmailMessage, *to: str) -> None:
        await aiosmtplib.send(
            message, sender="ecpmon@localhost", recipients=list(to), hostname="127.0.0.1", port=self.smtp_port
        )


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[Catcher]:
    box = Mailbox(tmp_path / "mail", messages=5)
    server = await asyncio.get_running_loop().create_server(smtp_factory(box), "127.0.0.1", 0)
    async with TestServer(create_pages(box)) as pages, aiohttp.ClientSession() as session:
        port = server.sockets[0].getsockname()[1]
        yield Catcher(box, port, str(pages.make_url("")).rstrip("/"), session)
    server.close()
    await server.wait_closed()


def message(number: int, **headers: str) -> EmailMessage:
    made = EmailMessage(policy=email.policy.SMTP)
    for name, value in {
        "From": "ecpmon@localhost",
        "To": "a@example.com",
        "Subject": f"통계 {number}",
    }.items():
        made[name] = headers.get(name, value)
    made["Message-ID"] = f"<{number}@localhost>"
    made.set_content("<script>alert(1)</script> 글로벌")
    made.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="sla.pdf")
    return made


async def test_what_was_sent_is_listed_and_shown(catcher: Catcher) -> None:
    await catcher.send(message(1), "hidden@example.com")
    [one] = await catcher.messages()
    assert (one["subject"], one["to"], one["attachments"]) == ("통계 1", "hidden@example.com", ["sla.pdf"])
    assert (await catcher.get("/"))[1].decode().count("통계 1") == 1
    _, page = await catcher.get(f"/messages/{one['name']}")
    assert b"<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 글로벌" in page.decode()
    assert await catcher.get(f"/messages/{one['name']}/attachments/0") == (200, b"%PDF-1.7")
    assert (await catcher.get(f"/messages/{one['name']}/attachments/1"))[0] == 404
    status, raw = await catcher.get(f"/messages/{one['name']}?raw")
    assert (
        status,
        raw.startswith(b"Return-Path: <ecpmon@localhost>\r\nDelivered-To: hidden@example.com"),
    ) == (200, True)
    for nowhere in ("/messages/x.eml", "/messages/..%2F..%2Fetc%2Fpasswd", "/messages/..%2Flock?raw"):
        assert (await catcher.get(nowhere))[0] == 404


async def test_one_message_id_is_kept_once_for_each_recipient(catcher: Catcher) -> None:
    for _ in range(3):
        await catcher.send(message(1), "a@example.com")
    await catcher.send(message(1), "b@example.com")
    await catcher.send(message(2), "a@example.com")
    assert [(m["message_id"], m["to"]) for m in await catcher.messages()] == [
        ("<2@localhost>", "a@example.com"), ("<1@localhost>", "b@example.com"), ("<1@localhost>", "a@example.com"),
    ]  # fmt: skip


async def test_the_oldest_go_when_there_are_too_many(catcher: Catcher, tmp_path: Path) -> None:
    for number in range(8):
        await catcher.send(message(number), "a@example.com")
    assert [m["message_id"] for m in await catcher.messages()] == [
        f"<{n}@localhost>" for n in (7, 6, 5, 4, 3)
    ]
    small = Mailbox(tmp_path / "small", size=2500)
    for number in range(4):
        at = NOW + timedelta(seconds=number)
        small.add(bytes(message(number)) + b"x" * 900, "a@example.com", ["b@example.com"], at)
    assert [m.message_id for m in small.newest(10)] == ["<3@localhost>"]


async def test_an_alert_arrives(catcher: Catcher) -> None:
    notification = Notification(
        id=1, idempotency_key="cd" * 16, tenant_key=7, tenant_id="acme", rule_id="rule-1", alert_name="CPU 사용률 높음",
        action=EmailAction(("admin@company.com",)), receiver="", attempt=0, created_at=NOW,
        payload={"status": "firing", "alerts": [{"status": "firing", "annotations": {"summary": "too much"}}]},
    )  # fmt: skip
    notifier = EmailNotifier(SmtpServer("127.0.0.1", catcher.smtp_port, "ecpmon@localhost"))
    assert (await notifier.deliver(notification, NOW)).outcome is DeliveryOutcome.DELIVERED
    [one] = await catcher.messages()
    assert (one["subject"], one["to"]) == ("[FIRING] CPU 사용률 높음 (acme)", "admin@company.com")


async def test_what_cannot_be_kept_is_not_acknowledged(catcher: Catcher, tmp_path: Path) -> None:
    (tmp_path / "mail").rmdir()
    (tmp_path / "mail").write_text("no folder")
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await catcher.send(message(1), "a@example.com")
    assert refused.value.code == 452
