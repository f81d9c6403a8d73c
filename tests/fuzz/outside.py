"""schemathesis over a service that a test serves, as anybody runs it from outside: by its command, with all checks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.request import urlopen

from tests.waiting import PATIENCE


def config(
    count: int,
    phases: Sequence[str],
    values: Mapping[str, Sequence[str]],
    accepted: Sequence[str],
    more: Sequence[str] = (),
    seconds: int | None = None,
) -> list[str]:
    """Lines of its settings file. Seeded: the same requests each time, `count` to each route and phase.

    `seconds`: it goes on with others, or is cut short, until so many are over; of them it keeps a share for sequences.
    `values`: what parameters of paths are mostly; `accepted`: statuses of answers to requests that fit.
    """
    return [
        "seed = 1", "workers = 1", "continue-on-failure = true", "max-failures = 20", "warnings = false",
        "request-timeout = 120", *([f"max-time = {seconds}"] if seconds else []),
        *more,
        'suppress-health-check = ["all"]',
        "[cache]", "enabled = false",
        "[generation]", f"max-examples = {count}", "no-shrink = true", 'database = "none"',
        "[phases]", "enabled = false", *(f"{phase}.enabled = true" for phase in phases),
        "[checks.positive_data_acceptance]", f"expected-statuses = {list(accepted)}",
        *(f"[dictionaries.{name}]\nvalues = {list(found)}" for name, found in values.items()),
        "[parameters]",
        *(f'"path.{name}" = {{ dictionary = "{name}", probability = 0.9 }}' for name in values),
    ]  # fmt: skip


def operation(name: str) -> list[str]:
    """The head of what concerns one route only."""
    return ["[[operations]]", f'include-name = "{name}"']


def run(url: str, settings: str, folder: Path, **known: str) -> None:
    """Ask everything that `url` documents. `known`: what `contract_hooks` are told."""
    # It waits ten seconds for what the first who asks for it waits longest for.
    with urlopen(f"{url}/openapi.json", timeout=PATIENCE) as answer:
        assert answer.status == 200
    file = folder / "schemathesis.toml"
    file.write_text(settings)
    argv = [
        str(Path(sys.executable).parent / "st"), "--config-file", str(file), "--no-color", "run", f"{url}/openapi.json",
    ]  # fmt: skip
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.contract_hooks",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **known,
    }
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, re.sub(r"Bearer \S+", "Bearer …", done.stdout[-20_000:] + done.stderr)
    # A thread of it that died ends the run, which says of itself that it passed.
    assert "Traceback" not in done.stderr, done.stderr
    assert "Skipped:" not in done.stdout, done.stdout[-3_000:]
