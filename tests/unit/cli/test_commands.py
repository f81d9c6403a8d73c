"""The commands as a whole: what `--help` says, and what it costs to be told."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from click.testing import CliRunner

from ecpmon.cli import GROUPS, cli

# Large, and of no use to who only asks, or to a front that has just begun.
LARGE = (
    "aiohttp",
    "asyncpg",
    "pydantic",
    "rich",
    "yaml",
    "apscheduler",
    "reportlab",
    "jsonschema",
    "kubernetes",
)


def test_help_shows_every_command_with_what_it_is_for() -> None:
    said = CliRunner().invoke(cli, ["--help"], terminal_width=200).output
    listed = said.partition("Commands:")[2]
    for name in {*GROUPS, *cli.commands}:
        [line] = [line for line in listed.splitlines() if line.split()[:1] == [name]]
        assert len(line.split()) > 2


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_is_listed_by_its_own_words(name: str) -> None:
    assert getattr(import_module(f"ecpmon.cli.{name}"), name).help == GROUPS[name]


def imported(code: str) -> set[str]:
    """The packages that a new interpreter has read after `code`."""
    ask = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    )


def test_help_imports_nothing_large() -> None:
    assert not imported("import ecpmon.cli").intersection(LARGE)


def test_a_front_imports_nothing_large_that_it_does_not_need_to_answer() -> None:
    found = imported(
        "from ecpmon.cli import importing\nwith importing(): import ecpmon.settings, ecpmon.app\n"
    )
    assert {"aiohttp", "asyncpg"} <= found
    unneeded = {"rich", "apscheduler", "reportlab", "PIL", "jsonschema", "kubernetes", "kubernetes_validate"}
    assert not found & {*unneeded, "aiosmtplib", "requests", "prometheus_api_client"}
