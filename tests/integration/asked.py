"""What the database is asked: every statement of connections that are opened from now on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ecpmon.storage import database
from ecpmon.storage.sessions import prepared


def tell_statements(monkeypatch: pytest.MonkeyPatch, take: Callable[[Any], None]) -> None:
    """`take` is called with the driver's record of each."""

    async def noted(connection: Any) -> None:
        await prepared(connection)
        connection.add_query_logger(take)

    monkeypatch.setattr(database, "prepared", noted)
