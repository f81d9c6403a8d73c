"""What is owed of a past outlives whoever was telling it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecpmon.app.past import Owed, Past

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
DAYS = timedelta(days=30)


async def test_a_past_whose_import_ended_is_owed_to_the_same_instant_until_it_is_told(tmp_path: Path) -> None:
    first = Past(tmp_path, DAYS, NOW)
    for name in ("a", "b", "a"):
        first.promise(name)
    owed = Owed(("a", "b"), NOW, DAYS)
    assert first.owed() == owed

    async def ended(_: Owed) -> int:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await first.pay(owed, ended)
    assert first.owed() == owed
    # Started again an hour later, with another wish: what was promised is told as it was.
    again = Past(tmp_path, timedelta(days=7), NOW + timedelta(hours=1))
    assert again.owed() == owed
    told: list[Owed] = []

    async def done(what: Owed) -> int:
        told.append(what)
        return 7

    assert await again.pay(owed, done) == 14
    assert (told, again.owed()) == ([Owed((name,), NOW, DAYS) for name in ("a", "b")], None)


def test_nothing_is_promised_to_who_wants_no_past(tmp_path: Path) -> None:
    past = Past(tmp_path, None, NOW)
    past.promise("a")
    assert past.owed() is None
