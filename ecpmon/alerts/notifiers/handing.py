"""Handing one message to the mail server step by step, so that it is known whether the server may have taken it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import aiosmtplib

from ecpmon.alerts.notifiers.email import TIMEOUT, SmtpServer, failure
from ecpmon.alerts.recipients import check_recipients
from ecpmon.model.alerts import DeliveryOutcome, DeliveryReason, DeliveryResult

# All steps together: shorter than half a claim (`WorkerLimits.lease`).
LONGEST: Final = timedelta(seconds=60)
NOT_OURS: Final = "somebody else is delivering this"


@dataclass(frozen=True, slots=True)
class Notes:
    """What is told while a message is handed over.

    `giving`: the server is about to be given it; False stops that. `not_taken`: the server was, and has said no.
    """

    giving: Callable[[], Awaitable[bool]]
    not_taken: Callable[[], Awaitable[None]]


class Courier:
    """Takes messages to one SMTP server, a connection for each."""

    def __init__(self, server: SmtpServer, timeout: timedelta = TIMEOUT) -> None:
        check_recipients([server.sender])
        self.server = server
        self._timeout = timeout.total_seconds()
        self._leaving: set[asyncio.Task[None]] = set()

    async def carry(self, message: bytes, recipient: str, notes: Notes) -> DeliveryResult:
        """Try once; `recipient` is a checked address. Until `giving` was told nothing has left; after it the server may
        have taken the message, unless the result says otherwise."""
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                return await self._carry(message, recipient, notes)
        except (aiosmtplib.SMTPException, TimeoutError, OSError) as error:
            return failure(error)

    async def _carry(self, message: bytes, recipient: str, notes: Notes) -> DeliveryResult:
        server = self.server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.security == "tls",
            start_tls=server.security == "starttls",
            timeout=self._timeout,
        )
        try:
            await client.connect()
            await client.mail(server.sender)
            await client.rcpt(recipient)
            if not await notes.giving():
                return DeliveryResult(DeliveryOutcome.RETRY, DeliveryReason.INTERNAL, error=NOT_OURS)
            try:
                answer = await client.data(message)
            except aiosmtplib.SMTPDataError as error:
                await notes.not_taken()
                return failure(error)
            detail = str(answer.message)[:500]
            return DeliveryResult(
                DeliveryOutcome.DELIVERED, DeliveryReason.ACCEPTED, answer.code, detail=detail
            )
        finally:
            self._leave(client)

    def _leave(self, client: aiosmtplib.SMTP) -> None:
        """Beside what follows: that the message was taken had better be recorded at once."""
        task = asyncio.create_task(_quit(client))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Part from the servers that are being left."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        # Whatever comes of it: the message is taken or not by now.
        with contextlib.suppress(aiosmtplib.SMTPException, TimeoutError, OSError):
            await client.quit(timeout=2)
    finally:
        client.close()
