"""What every command has that asks a running service: where it is, who asks, and how the answer is shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ecpmon.cli.shown import SHAPES, Column, Followed, show

if TYPE_CHECKING:
    from ecpmon.client import ECPClient, ECPError

DEFAULT_URL: Final = "http://localhost:8001"
_NEXT: Final = {
    "Unauthorized": "give a token: ECPMON_TOKEN, or --token-file (an operator makes one with `ecpmon token create`)",
    "Forbidden": "the token's roles do not allow this; `ecpmon token list` shows what each may do",
    "Unreachable": "see that ecpmon runs there, or say where it does: --url or ECPMON_URL",
    "Unavailable": "try again shortly; `ecpmon doctor` says what is missing",
    "RateLimited": "ask less often",
    "ServerFault": "tell the operators of the service the request's number",
}


@dataclass(frozen=True, slots=True)
class Remote:
    """A running service as a command sees it."""

    url: str
    token: str | None
    demo: bool | None
    language: str | None
    shape: str

    @contextmanager
    def client(self) -> Iterator[ECPClient]:
        """Errors of the service become a sentence with what to do next."""
        from stamina.instrumentation import set_on_retry_hooks

        from ecpmon.client import ECPClient, ECPError

        # Unasked it writes each retry to standard output, which is the answer's.
        set_on_retry_hooks(())
        try:
            with ECPClient(
                self.url.rstrip("/") + "/api/v1", self.demo, token=self.token, language=self.language
            ) as client:
                yield client
        except ECPError as error:
            raise click.ClickException(said(error)) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise click.ClickException(
                f"what answers at {self.url} is no ecpmon\n  what to do: say where it runs: --url or ECPMON_URL"
            ) from error
        except ValueError as error:
            raise click.ClickException(str(error)) from error

    def show(self, document: Any, rows: Iterable[Any], columns: Sequence[Column]) -> None:
        show(document, rows, columns, self.shape)

    def following(self, columns: Sequence[Column], line: Callable[[Any], str]) -> Followed:
        return Followed(self.shape, columns, line)

    def done(self, document: Any, sentence: str) -> None:
        """Of what was changed: a sentence for people, the answer for programs."""
        if self.shape == "table":
            click.echo(sentence)
        else:
            show(document, [document], [Column(name, name) for name in document], self.shape)


def said(error: ECPError) -> str:
    """The service's words, each bad field, and what to do next."""
    fields = error.details.get("fields") or []
    lines = [error.message, *(f"  {each['field']}: {each['message']}" for each in fields)]
    kind = next((name for name in _NEXT if name in {c.__name__ for c in type(error).__mro__}), None)
    if kind:
        lines.append(f"  what to do: {_NEXT[kind]}")
    if error.request_id:
        lines.append(f"  request {error.request_id}, code {error.code}")
    return "\n".join(lines)


def remote(command: Callable[..., None]) -> Callable[..., None]:
    """Options of a command that asks the service; it gets a `Remote` as its first argument."""

    @functools.wraps(command)
    def made(
        url: str, token_file: Path | None, demo: bool, language: str | None, output: str, **own: Any
    ) -> None:
        command(Remote(url, _token(token_file), demo or None, language, output), **own)

    for option in reversed(_OPTIONS):
        made = option(made)
    return made


_OPTIONS: Final = (
    click.option("--url", envvar="ECPMON_URL", default=DEFAULT_URL, show_default=True, show_envvar=True,
                 help="Where ecpmon answers."),
    click.option("--token-file", envvar="ECPMON_TOKEN_FILE", show_envvar=True,
                 type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 help="A file that holds the API token (or ECPMON_TOKEN, the token itself)."),
    click.option("--demo", is_flag=True, help="Ask for the demo's data, not for production's."),
    click.option("--language", type=click.Choice(["en", "ko"]), help="Of what the service says."),
    click.option("--output", "-o", type=click.Choice(SHAPES), default="table", show_default=True,
                 help="How the answer is shown."),
)  # fmt: skip


def _token(file: Path | None) -> str | None:
    """Of the file that was named, else of the environment. Never an argument: those are seen by everybody."""
    import os

    if file is None:
        return os.environ.get("ECPMON_TOKEN") or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{file} holds no API token: it is not text") from error
    if not token:
        raise click.ClickException(f"{file} is empty; write the API token into it")
    return token
