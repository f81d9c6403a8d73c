"""The commands as a whole: what `--help` says, and what it costs to be told."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest
from click.testing import CliRunner

from ecpmon.cli import GROUPS, MODULES, cli

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
    module = MODULES.get(name, name)
    said = getattr(import_module(f"ecpmon.cli.{module}"), module).help
    assert " ".join(said.partition("\n\n")[0].split()) == GROUPS[name]


def modules_after(code: str) -> set[str]:
    """What a new interpreter has read after `code`."""
    ask = f"{code}\nimport sys; print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    )


def imported(code: str) -> set[str]:
    """The packages that a new interpreter has read after `code`."""
    return {name.partition(".")[0] for name in modules_after(code)}


def test_help_imports_nothing_large() -> None:
    assert not imported("import ecpmon.cli").intersection(LARGE)


def test_a_front_imports_nothing_large_that_it_does_not_need_to_answer() -> None:
    found = imported(
        "from ecpmon.cli import importing\nwith importing(): import ecpmon.settings, ecpmon.app\n"
    )
    assert {"aiohttp", "asyncpg"} <= found
    unneeded = {"rich", "apscheduler", "reportlab", "PIL", "jsonschema", "kubernetes", "kubernetes_validate"}
    assert not found & {*unneeded, "aiosmtplib", "requests", "prometheus_api_client", "jwt"}


# What only some requests need, and would be a tenth of a start.
LATE = (
    "alerts.backtest", "alerts.judgement", "alerts.past", "api.backtesting", "local.supervisor",
    "orchestrator.catalogue", "orchestrator.manifests", "orchestrator.rightsizing", "orchestrator.sizing",
    "orchestrator.validation", "sla.openslo", "sla.ratios",
)  # fmt: skip


def test_a_front_reads_nothing_of_ours_that_only_few_requests_need() -> None:
    found = modules_after(
        "from ecpmon.cli import importing\nwith importing(): import ecpmon.settings, ecpmon.app, ecpmon.local.machine\n"
    )
    assert {"ecpmon.app", "ecpmon.api.backtest", "ecpmon.orchestrator.deployments"} <= found
    assert not found & {f"ecpmon.{name}" for name in LATE}
