"""docs/commands.md is what `--help` says. `ECPMON_RECORD=1` writes it anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from ecpmon.cli import cli

DOCS = Path(__file__).parents[3] / "docs" / "commands.md"


def commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (found := command.get_command(context, name)) is not None:
                yield from commands(found, (*path, name))


def rendered() -> str:
    parts = [
        "# Commands",
        "",
        "What `--help` says of every command; [the command line](command-line.md) explains them.",
    ]
    runner = CliRunner(env={name: None for name in os.environ if name.startswith("ECPMON_")})
    for path, _ in commands(cli, ()):
        done = runner.invoke(cli, [*path, "--help"], prog_name="ecpmon", terminal_width=100)
        assert done.exit_code == 0, done.output
        said = "\n".join(line.rstrip() for line in done.stdout.splitlines()).replace(
            str(Path.cwd()), "(here)"
        )
        parts += ["", f"## {' '.join(('ecpmon', *path))}", "", "```text", said, "```"]
    return "\n".join(parts) + "\n"


def test_the_page_of_commands_is_what_help_says() -> None:
    if os.environ.get("ECPMON_RECORD"):
        DOCS.write_text(rendered(), encoding="utf-8")
    assert DOCS.read_text(encoding="utf-8") == rendered()


def test_every_command_and_option_says_what_it_is_for() -> None:
    for path, command in commands(cli, ()):
        assert command.help, path
        bare = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
        assert not bare, (path, bare)
