"""What an examination finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

Level = Literal["ok", "warning", "error", "skipped"]
Clock = Callable[[], datetime]
OK: Final = "ok"
WARNING: Final = "warning"
ERROR: Final = "error"
SKIPPED: Final = "skipped"
# Observations hold for some seconds: clocks that differ by more tear holes into timelines. Less is a way's own time.
_AGREE: Final = timedelta(seconds=1)
_BEAR: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject`: what was looked at; `what`: how it is; `todo`: what to do, empty when there is nothing."""

    level: Level
    subject: str
    what: str
    todo: str = ""


def unset(subject: str, setting: str, what: str) -> list[Finding]:
    return [Finding(SKIPPED, subject, what, f"set ECPMON_{setting.upper()} to change that")]


def clocks(subject: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """`before` and `after`: our clock when we asked and when the answer came, so that the way does not count."""
    apart = max(before - theirs, theirs - after, timedelta())
    if apart <= _AGREE:
        return Finding(OK, f"{subject} clock", "agrees with this machine's")
    return Finding(
        WARNING if apart <= _BEAR else ERROR,
        f"{subject} clock",
        f"{apart.total_seconds():.1f} s apart from this machine's",
        "run an NTP client on both machines (chrony, systemd-timesyncd)",
    )
