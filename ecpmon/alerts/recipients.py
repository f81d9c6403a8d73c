"""Who may be sent an e-mail."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ecpmon.errors import ValidationFailed

MAX_RECIPIENTS: Final = 20
# Deliberately narrower than RFC 5321: no quoted local parts, no address literals, ASCII only.
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)


class RecipientRefused(ValidationFailed):
    def __init__(self, message: str) -> None:
        super().__init__(message, fields=[{"field": "recipients", "message": message}])


def check_recipients(recipients: Iterable[str]) -> tuple[str, ...]:
    """`recipients` when they may be saved; else raises RecipientRefused."""
    checked = tuple(recipients)
    if not 1 <= len(checked) <= MAX_RECIPIENTS:
        raise RecipientRefused(f"an email action has 1 to {MAX_RECIPIENTS} recipients")
    for address in checked:
        if not _ADDRESS.fullmatch(address) or ".." in address:
            raise RecipientRefused(f"{address!r} is not an email address")
    return checked
