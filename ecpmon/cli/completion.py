"""`ecpmon completion`: words that a shell completes."""

from __future__ import annotations

from typing import Final

import click

# Where each shell looks for such files by itself, or what reads them.
_PLACES: Final = {
    "bash": "ecpmon completion bash > ~/.local/share/bash-completion/completions/ecpmon",
    "zsh": "ecpmon completion zsh > ~/.zfunc/_ecpmon   (with fpath+=~/.zfunc before compinit)",
    "fish": "ecpmon completion fish > ~/.config/fish/completions/ecpmon.fish",
}


@click.command(epilog="\b\n" + "\n".join(_PLACES.values()))
@click.argument("shell", type=click.Choice(list(_PLACES)))
def completion(shell: str) -> None:
    """Print what makes SHELL complete commands, options and their values."""
    from click.shell_completion import get_completion_class

    from ecpmon.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"nothing is known of {shell}")
    click.echo(kind(cli, {}, "ecpmon", "_ECPMON_COMPLETE").source())
