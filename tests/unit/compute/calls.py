"""What tests have computed: functions of a module, as they must be."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from time import sleep
from typing import Any

from ecpmon.errors import DatabaseNotWritable, LimitReached, TenantNotFound, ValidationFailed

SOMEBODY_ELSE_S = {"owner": "nobody"}
# What a nursery has loaded for those that it forks.
LOADED: list[str] = []


class Stubborn(Exception):
    """Does not come out of a pickle."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def echo(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def refuse() -> None:
    raise ValidationFailed("no", fields=[{"field": "a.b", "message": "is not so"}])


def miss() -> None:
    raise TenantNotFound("who")


def reach() -> None:
    raise LimitReached("too much", limit="of_something", most=3)


def not_written() -> None:
    raise DatabaseNotWritable("full", "disk_full")


def expire() -> None:
    raise TimeoutError("of its own")


def be_stubborn() -> None:
    raise Stubborn("this", "that")


def unsendable() -> Any:
    return lambda: None


def who() -> int:
    return os.getpid()


def parent() -> int:
    return os.getppid()


def niceness() -> int:
    return os.nice(0)


def niceness_of_session() -> str:
    """Of all that is in it, as against other sessions; "": this kernel knows no such thing, or shares nothing by it
    (the file is there and empty for who is in no group of its own)."""
    shared = Path("/proc/self/autogroup")
    words = shared.read_text(encoding="ascii").split() if shared.exists() else []
    return words[-1] if words else ""


def hang() -> None:
    while True:
        sleep(60)


def spin() -> None:
    while True:
        pass


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def owner() -> str:
    return SOMEBODY_ELSE_S["owner"]


def load() -> None:
    LOADED.append("late")


def loaded() -> list[str]:
    return LOADED
