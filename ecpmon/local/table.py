"""The live table of `ecpmon up`: one row per tenant, where the parts are, what the supervisor said.

The summary's JSON is documented in the API; whatever it lacks is shown as a dash, never as a number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ecpmon.figures import DASH, percent, towards_less
from ecpmon.local.stack import StackUrls
from ecpmon.local.supervisor import Message

WINDOWS = ("1h", "24h", "7d", "30d")
POLL_SECONDS = 2.0
# Between two lines about all tenants, where there is no terminal.
LINE_SECONDS = 60.0
_FULL_COVERAGE = 0.99
_STATUS_STYLE = {"meeting": "green", "at_risk": "yellow", "violated": "bold red", "no_data": "dim"}
_STATE_STYLE = {"up": "green", "down": "bold red", "gap": "yellow", "none": "dim"}

Summary = Mapping[str, Any]
"""The decoded answer of `GET /api/v1/sla/summary`."""


def availability(window: Mapping[str, Any] | None) -> str:
    """A window's availability; a star says that part of it was not measured."""
    if not window or window.get("availability") is None:
        return DASH
    coverage = window.get("coverage")
    return percent(window["availability"]) + (
        "*" if coverage is not None and coverage < _FULL_COVERAGE else ""
    )


def budget(error_budget: Mapping[str, Any] | None) -> str:
    """The error budget that is left: minutes and share, both cut towards less."""
    if not error_budget or error_budget.get("remaining_minutes") is None:
        return DASH
    minutes = towards_less(error_budget["remaining_minutes"], "0.1")
    share = error_budget.get("remaining_percent")
    return f"{minutes} min" + (f" ({towards_less(share, '1')}%)" if share is not None else "")


def burn_rate(rates: Mapping[str, Any] | None) -> str:
    """The burn rate of the last hour: 1 spends the budget exactly over its period."""
    value = rates.get("1h") if rates else None
    return DASH if value is None else f"{value:.2f}x"


def last_alert(alert: Mapping[str, Any] | None) -> str:
    """Name, state and time (UTC: month-day hour:minute) of a tenant's last alert."""
    if not alert:
        return DASH
    at = str(alert.get("at") or "").replace("T", " ")[5:16]
    return " ".join(part for part in (str(alert.get("alert_name")), str(alert.get("status")), at) if part)


def tenant_cells(tenant: Mapping[str, Any]) -> list[str]:
    """A tenant's row as plain texts: id, state, status, the windows, budget, burn rate, last alert."""
    windows = tenant.get("windows") or {}
    return [
        str(tenant.get("tenant_id")),
        str(tenant.get("state", "none")),
        str(tenant.get("status", "no_data")),
        *(availability(windows.get(name)) for name in WINDOWS),
        budget(tenant.get("error_budget")),
        burn_rate(tenant.get("burn_rate")),
        last_alert(tenant.get("last_alert")),
    ]


def summary_table(summary: Summary) -> Table:
    """The rich table of a summary."""
    title = f"SLA as of {summary.get('as_of', DASH)}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    for heading in ("tenant", "now", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in (*WINDOWS, "budget left", "burn 1h"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("last alert", overflow="fold")
    for tenant in summary.get("tenants", []):
        cells = [Text(cell) for cell in tenant_cells(tenant)]
        cells[1].stylize(_STATE_STYLE.get(cells[1].plain, ""))
        cells[2].stylize(_STATUS_STYLE.get(cells[2].plain, ""))
        table.add_row(*cells)
    if _partly_measured(summary):
        table.caption = "* part of this window was not measured"
    return table


def _partly_measured(summary: Summary) -> bool:
    return any(cell.endswith("*") for tenant in summary.get("tenants", []) for cell in tenant_cells(tenant))


def plain_line(tenant: Mapping[str, Any], as_of: str) -> str:
    """A tenant for logs and pipes."""
    headings = (
        "",
        "state=",
        "status=",
        *(f"{name}=" for name in WINDOWS),
        "budget=",
        "burn_1h=",
        "last_alert=",
    )
    return f"{as_of} " + " ".join(h + c for h, c in zip(headings, tenant_cells(tenant), strict=True))


class PlainTeller:
    """What is written where there is no terminal: a tenant when its state changes, and one line a minute.

    A log of half an hour is some dozen lines, not a line for each figure that moved.
    """

    def __init__(self) -> None:
        self._standing: dict[str, tuple[Any, ...]] = {}
        self._problem: str | None = None
        self._next = 0.0

    def lines(self, summary: Summary | None, problem: str | None, now: float) -> list[str]:
        """What to write now. `now` in seconds of any clock that only goes forward."""
        if summary is None:
            told = [problem] if problem and problem != self._problem else []
            self._problem = problem
            return told
        self._problem = None
        tenants, as_of = summary.get("tenants", []), summary.get("as_of", DASH)
        told = [plain_line(tenant, as_of) for tenant in tenants if self._changed(tenant)]
        if now >= self._next:
            self._next = now + LINE_SECONDS
            told.append(overall(tenants, as_of))
        return told

    def _changed(self, tenant: Mapping[str, Any]) -> bool:
        alert = tenant.get("last_alert") or {}
        standing = (tenant.get("state"), tenant.get("status"), alert.get("alert_name"), alert.get("status"))
        known = self._standing.get(str(tenant.get("tenant_id")))
        self._standing[str(tenant.get("tenant_id"))] = standing
        return standing != known


def overall(tenants: Sequence[Mapping[str, Any]], as_of: str) -> str:
    """All tenants in one line: how many are how, and the worst."""
    if not tenants:
        return f"{as_of} no tenants"
    counts = Counter(str(tenant.get("state", "none")) for tenant in tenants)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    worst = tenants[0]
    shown = availability((worst.get("windows") or {}).get("30d"))
    return f"{as_of} {len(tenants)} tenants: {states}; worst: {worst.get('tenant_id')} 30d={shown}"


def screen(
    summary: Summary | None, urls: StackUrls, messages: Sequence[Message], problem: str | None = None
) -> RenderableType:
    """Everything that the live display shows; `problem` is why the summary is not fresh."""
    parts: list[RenderableType] = (
        [summary_table(summary)] if summary else [Text("waiting for the first summary…")]
    )
    if problem:
        parts.append(Text(problem, style="yellow"))
    parts.append(url_lines(urls))
    parts += [Text.from_markup(f"[dim]{escape(message.text)}[/dim]") for message in list(messages)[-5:]]
    parts.append(Text("Ctrl-C stops everything; the data stays.", style="dim"))
    return Group(*parts)


def url_lines(urls: StackUrls) -> Text:
    """Where the parts are, one a line."""
    names = {"API": urls.api, "docs": urls.docs, "simulator": urls.simulator,
             "Prometheus": urls.prometheus, "Alertmanager": urls.alertmanager, "mail": urls.mail}  # fmt: skip
    return Text("\n".join(f"{name:<13}{url}" for name, url in names.items()))


async def fetch_summary(session: ClientSession, api: str) -> Summary:
    """The summary from the API. Raises ClientError, TimeoutError, TypeError or ValueError."""
    async with session.get(f"{api}/api/v1/sla/summary") as answer:
        answer.raise_for_status()
        decoded = await answer.json()
    if not isinstance(decoded, dict):
        raise TypeError("the summary is not an object")
    return decoded


async def watch(
    urls: StackUrls,
    stop: asyncio.Event,
    messages: Sequence[Message],
    console: Console,
    *,
    interval: float = POLL_SECONDS,
) -> None:
    """Show the table until `stop` is set. `messages` is the caller's growing sequence of supervisor messages.

    On a terminal a live display; otherwise what `PlainTeller` says.
    """
    async with ClientSession(timeout=ClientTimeout(total=5)) as session:
        if console.is_terminal:
            await _watch_live(session, urls, stop, messages, console, interval)
        else:
            await _watch_plain(session, urls, stop, messages, console, interval)


async def _watch_live(
    session: ClientSession, urls: StackUrls, stop: asyncio.Event, messages: Sequence[Message],
    console: Console, interval: float,
) -> None:  # fmt: skip
    summary: Summary | None = None
    with Live(screen(None, urls, messages), console=console, auto_refresh=False) as live:
        while not stop.is_set():
            fresh, problem = await _try_fetch(session, urls.api)
            summary = fresh or summary
            live.update(screen(summary, urls, messages, problem), refresh=True)
            await _pause(stop, interval)


async def _watch_plain(
    session: ClientSession, urls: StackUrls, stop: asyncio.Event, messages: Sequence[Message],
    console: Console, interval: float,
) -> None:  # fmt: skip
    console.print(url_lines(urls), soft_wrap=True)
    teller, told, clock = PlainTeller(), 0, asyncio.get_running_loop().time
    while not stop.is_set():
        for message in list(messages)[told:]:
            console.print(Text(message.text), soft_wrap=True)
        told = len(messages)
        summary, problem = await _try_fetch(session, urls.api)
        for line in teller.lines(summary, problem, clock()):
            console.print(Text(line), soft_wrap=True)
        await _pause(stop, interval)


async def _try_fetch(session: ClientSession, api: str) -> tuple[Summary | None, str | None]:
    try:
        return await fetch_summary(session, api), None
    except (ClientError, TimeoutError, TypeError, ValueError) as error:
        return None, f"the API does not answer ({type(error).__name__}); trying again"


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
