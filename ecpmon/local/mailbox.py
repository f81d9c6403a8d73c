"""The folder of the local mail catcher: one `.eml` file per message, bounded, each `Message-ID` once per recipient.

Blocking; call it from a thread. What was acknowledged is on the disk.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Final

MOST_MESSAGES: Final = 1000
MOST_BYTES: Final = 256 * 2**20
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{24}\.eml")


@dataclass(frozen=True, slots=True)
class Caught:
    """A message as lists show it; `to` are those whom it was sent to, whatever its header says."""

    name: str
    received_at: str
    sender: str
    to: str
    subject: str
    message_id: str
    attachments: tuple[str, ...]
    size: int


class Mailbox:
    """Newest last; what is over the bounds goes, oldest first."""

    def __init__(self, folder: Path, messages: int = MOST_MESSAGES, size: int = MOST_BYTES) -> None:
        self._folder = folder
        self._limits = (messages, size)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

    def add(self, content: bytes, sender: str, recipients: list[str], now: datetime) -> str | None:
        """Keep a message; the name of its file, None for one that is here already. Raises OSError."""
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        own = str(parsed["Message-ID"] or "").strip() or hashlib.sha256(content).hexdigest()
        digest = hashlib.sha256("\n".join([own, *sorted(recipients)]).encode()).hexdigest()[:24]
        if any(self._folder.glob(f"*-{digest}.eml")):
            return None
        name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}-{digest}.eml"
        top = f"Return-Path: <{_line(sender)}>\r\nDelivered-To: {_line(', '.join(recipients))}\r\n"
        self._write(name, top.encode("ascii", "replace") + content)
        self._tidy()
        return name

    def _write(self, name: str, content: bytes) -> None:
        half = self._folder / f".{name}.half"
        with half.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(self._folder / name)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _tidy(self) -> None:
        messages, size = self._limits
        total = 0
        for kept, path in enumerate(reversed(self._paths()), 1):
            total += path.stat().st_size
            if kept > messages or total > size:
                path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(p for p in self._folder.iterdir() if _NAME.fullmatch(p.name))

    def newest(self, count: int) -> list[Caught]:
        """The newest first."""
        found = []
        for path in reversed(self._paths()[-count:]):
            message = self.message(path.name)
            if message is not None:
                found.append(_caught(path.name, message, path.stat().st_size))
        return found

    def raw(self, name: str) -> bytes | None:
        """The bytes of a message; None when there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def message(self, name: str) -> EmailMessage | None:
        raw = self.raw(name)
        if raw is None:
            return None
        message = email.message_from_bytes(raw, policy=email.policy.default)
        return message if isinstance(message, EmailMessage) else None


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)


def _caught(name: str, message: EmailMessage, size: int) -> Caught:
    at = datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
    return Caught(
        name=name,
        received_at=at.isoformat().replace("+00:00", "Z"),
        sender=str(message["From"] or ""),
        to=str(message["Delivered-To"] or ""),
        subject=str(message["Subject"] or ""),
        message_id=str(message["Message-ID"] or ""),
        attachments=tuple(part.get_filename() or "unnamed" for part in message.iter_attachments()),
        size=size,
    )
