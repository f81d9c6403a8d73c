"""How an answer is shown: a table for people, or the answer itself as JSON, YAML or CSV for programs.

What goes on (`Followed`) is shown message by message: lines for people, a line of JSON, a document of YAML or a row of
CSV for programs, each written out at once.

Tables and CSV have the same columns; CSV has the values as the API says them, a table as people read them. Status is
never told by colour alone, and there is no colour where nobody sees it (a pipe, `NO_COLOR`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click

from ecpmon.figures import DASH, percent

SHAPES: Final = ("table", "json", "yaml", "csv")
_STYLES: Final = {
    **dict.fromkeys(("up", "met", "meeting", "running", "completed", "ok"), "green"),
    **dict.fromkeys(("gap", "pending", "at_risk", "unknown", "undetermined"), "yellow"),
    **dict.fromkeys(("deploying", "degraded", "warning"), "yellow"),
    **dict.fromkeys(("down", "breached", "violated", "failed", "firing", "error"), "bold red"),
    **dict.fromkeys(("none", "no_data", "inactive", "skipped"), "dim"),
}  # fmt: skip


def as_said(value: Any) -> str:
    return "" if value is None else str(value)


def rounded(value: Any) -> str:
    return DASH if value is None else f"{float(value):,.2f}"


def instant(value: Any) -> str:
    """In this machine's zone, to the second."""
    if value is None:
        return DASH
    at = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return at.astimezone().isoformat(" ", "seconds")


def between(bounds: Any) -> str:
    """What it is at least and at most, whatever happened while nobody looked."""
    return DASH if not bounds else f"{percent(bounds['low'])} … {percent(bounds['high'])}"


@dataclass(frozen=True, slots=True)
class Column:
    """`of`: members one below the other, such as `error_budget.remaining_percent`, or what makes the value of a row."""

    heading: str
    of: str | Callable[[Any], Any]
    text: Callable[[Any], str] = as_said

    def value(self, row: Any) -> Any:
        if callable(self.of):
            return self.of(row)
        for part in self.of.split("."):
            row = row.get(part) if isinstance(row, Mapping) else None
        return row


def show(document: Any, rows: Iterable[Any], columns: Sequence[Column], shape: str) -> None:
    """Write an answer to standard output. `rows`: what of it stands in the table."""
    if shape == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    elif shape == "yaml":
        import yaml

        click.echo(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), nl=False)
    elif shape == "csv":
        click.echo(_as_csv(rows, columns), nl=False)
    else:
        _table(rows, columns)


class Followed:
    """Messages as they come. `line`: one of them for people."""

    def __init__(self, shape: str, columns: Sequence[Column], line: Callable[[Any], str]) -> None:
        self._shape = shape
        self._columns = columns
        self._line = line
        self._begun = False

    def show(self, message: Any) -> None:
        """Write one to standard output."""
        first, self._begun = not self._begun, True
        if self._shape == "json":
            click.echo(json.dumps(message, ensure_ascii=False))
        elif self._shape == "yaml":
            import yaml

            text = yaml.safe_dump(message, allow_unicode=True, sort_keys=False, explicit_start=True)
            click.echo(text, nl=False)
        elif self._shape == "csv":
            text = _as_csv([message], self._columns)
            click.echo(text if first else text.split("\r\n", 1)[1], nl=False)
        else:
            click.echo(self._line(message))


def _as_csv(rows: Iterable[Any], columns: Sequence[Column]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([column.heading.lower().replace(" ", "_") for column in columns])
    for row in rows:
        writer.writerow([_flat(column.value(row)) for column in columns])
    return out.getvalue()


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _table(rows: Iterable[Any], columns: Sequence[Column]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.heading.upper(), overflow="fold")
    for row in rows:
        values = [column.value(row) for column in columns]
        texts = [column.text(value) for column, value in zip(columns, values, strict=True)]
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in texts))
    console = Console()
    if not console.is_terminal:  # a pipe has no width
        console.width = 400
    console.print(table if table.row_count else Text("nothing", style="dim"))
