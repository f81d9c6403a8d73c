"""Every route that changes something is in the audit log, or `tests/audited.py` says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecpmon.api.application import route_table
from ecpmon.api.routing import Permission
from tests.audited import LOGGED, NOT_LOGGED

ROOT = Path(__file__).parents[3]


def changing() -> set[str]:
    return {
        f"{route.method} {route.path}"
        for route in route_table()
        if route.method != "GET" and route.permission not in (Permission.OPEN, Permission.SCRAPE)
    }


def test_every_route_that_changes_something_is_logged_or_has_a_reason() -> None:
    assert not LOGGED.keys() & NOT_LOGGED.keys()
    assert changing() == LOGGED.keys() | NOT_LOGGED.keys()


@pytest.mark.parametrize("action", sorted({a for actions in LOGGED.values() for a in actions}))
def test_every_action_is_written_somewhere_and_on_its_page(action: str) -> None:
    folders = ROOT / "ecpmon/storage", ROOT / "ecpmon/api"
    sources = (path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py"))
    assert any(f'"{action}"' in text for text in sources)
    assert f"`{action}`" in (ROOT / "docs/audit.md").read_text(encoding="utf-8")
