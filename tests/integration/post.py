"""A real SMTP server that notes what it is given, and lets a test do something at each step."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session

# connected, recipient, given (the whole message is here), taken (it is kept, and not yet said)
Step = Callable[[str], Awaitable[None]]


@dataclass
class Post:
    """`taken`: the messages that it kept, by recipient; `answers`: what it says to a message, in turn."""

    port: int = 0
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    step: Step | None = None

    async def _at(self, step: str) -> None:
        if self.step is not None:
            await self.step(step)

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        await self._at("connected")
        return responses

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        await self._at("recipient")
        return "250 ok"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        await self._at("given")
        answer = self.answers.pop(0) if self.answers else "250 2.0.0 kept"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.taken.append((envelope.rcpt_tos[0], envelope.content))
            await self._at("taken")
        return answer

    def messages(self) -> list[EmailMessage]:
        found = [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in self.taken]
        return [m for m in found if isinstance(m, EmailMessage)]


@asynccontextmanager
async def post_office() -> AsyncIterator[Post]:
    post, loop = Post(), asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(post, loop=loop, hostname="post"))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0)
    post.port = server.sockets[0].getsockname()[1]
    try:
        yield post
    finally:
        server.close()
        await server.wait_closed()
        for made in sessions:
            if made.transport is not None:
                made.transport.close()
