"""docs/settings.md says what settings.py declares, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ecpmon.app import UnsafeSettings, check_settings
from ecpmon.settings import Settings

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"


def rendered() -> str:
    rows = ["# Settings", "", "Every setting is an environment variable of `ecpmon serve`.", ""]
    rows += ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None or "Secret" in type(default).__name__ else f"`{default}`"
        rows.append(f"| `ECPMON_{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


def test_the_settings_page_is_up_to_date() -> None:
    assert DOCS.read_text(encoding="utf-8") == rendered()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_authentication_cannot_be_off_on_the_network() -> None:
    open_door = Settings(auth="none", host="0.0.0.0", database_url="postgresql://x")  # type: ignore[arg-type]
    with pytest.raises(UnsafeSettings, match="ecpmon token"):
        check_settings(open_door)
    check_settings(open_door.model_copy(update={"auth_none_anywhere": True}))
    check_settings(open_door.model_copy(update={"host": "127.0.0.1"}))


def test_urls_must_be_http() -> None:
    with pytest.raises(ValidationError):
        Settings(simulator_url="ftp://somewhere")
