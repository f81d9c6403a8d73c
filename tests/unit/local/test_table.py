from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from ecpmon.figures import percent
from ecpmon.local.stack import StackUrls
from ecpmon.local.supervisor import Message
from ecpmon.local.table import (
    PlainTeller,
    availability,
    budget,
    burn_rate,
    last_alert,
    screen,
    summary_table,
    watch,
)

URLS = StackUrls("http://api", "http://api/docs", "http://sim", "http://prom", "http://am", "http://mail")
SUMMARY: dict[str, Any] = {
    "as_of": "2026-11-21T04:00:00Z",
    "tenants": [
        {
            "tenant_id": "demo-callcenter",
            "name": "Demo",
            "state": "up",
            "status": "meeting",
            "windows": {
                "1h": {"availability": 99.9996, "coverage": 1.0},
                "24h": {"availability": 100, "coverage": 0.5},
                "7d": {"availability": None, "coverage": None},
            },
            "error_budget": {"remaining_minutes": 43.19, "remaining_percent": 99.97},
            "burn_rate": {"1h": 0.2},
            "last_alert": {"alert_name": "cpu high", "status": "resolved", "at": "2026-11-21T03:58:11Z"},
        },
        {"tenant_id": "new", "state": "none", "status": "no_data", "windows": {}},
    ],
}


def text_of(renderable: Any, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (100.0, "100%"),
        (100, "100%"),
        (99.99999, "99.999%"),
        (99.96, "99.960%"),
        (99.9, "99.900%"),
        (0.0, "0.000%"),
        (0.0004, "<0.001%"),
        (None, "—"),
    ],
)
def test_percentages_are_cut_never_rounded_up(value: float | None, shown: str) -> None:
    assert percent(value) == shown


def test_a_window_that_was_partly_blind_wears_a_star() -> None:
    assert availability({"availability": 100, "coverage": 0.98}) == "100%*"
    assert availability({"availability": 100, "coverage": 0.99}) == "100%"
    assert availability({"availability": 100}) == "100%"
    assert availability(None) == "—"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"remaining_minutes": 43.19, "remaining_percent": 99.97}, "43.1 min (99%)"),
        ({"remaining_minutes": -0.01, "remaining_percent": -0.2}, "-0.1 min (-1%)"),
        ({"remaining_minutes": 0.0}, "0.0 min"),
        ({"remaining_minutes": None}, "—"),
        (None, "—"),
    ],
)
def test_a_budget_is_never_shown_larger_than_it_is(value: dict[str, float] | None, shown: str) -> None:
    assert budget(value) == shown


def test_what_is_missing_is_a_dash() -> None:
    assert burn_rate({"1h": None}) == burn_rate(None) == last_alert(None) == "—"
    assert burn_rate({"1h": 14.4}) == "14.40x"


def test_the_table_has_a_row_per_tenant_and_explains_the_star() -> None:
    table = summary_table(SUMMARY)
    assert table.row_count == 2
    shown = text_of(table)
    assert "demo-callcenter" in shown
    assert "100%*" in shown
    assert "not measured" in shown
    assert "cpu high resolved 11-21 03:58" in shown


def test_tenant_names_are_not_markup() -> None:
    summary = {"tenants": [{"tenant_id": "[red]x[/red]"}]}
    assert "[red]x[/red]" in text_of(summary_table(summary))
    assert "[/oops]" in text_of(screen(summary, URLS, [Message("db", "[/oops]")]))


def test_the_screen_shows_urls_recent_messages_and_the_problem() -> None:
    messages = [Message("db", f"message {n}") for n in range(7)]
    shown = text_of(screen(None, URLS, messages, "the API does not answer"))
    for expected in ("waiting", "http://api/docs", "http://am", "message 6", "message 2", "does not answer"):
        assert expected in shown
    assert "message 1" not in shown


def test_everything_important_fits_a_usual_terminal() -> None:
    shown = text_of(summary_table(SUMMARY), width=100)
    assert "…" not in shown
    assert "99.999%" in shown
    assert "43.1 min (99%)" in shown


def test_where_there_is_no_terminal_a_tenant_is_told_when_its_state_changes_and_all_once_a_minute() -> None:
    teller = PlainTeller()
    first, second = SUMMARY["tenants"]
    assert teller.lines(SUMMARY, None, 0.0) == [
        "2026-11-21T04:00:00Z demo-callcenter state=up status=meeting 1h=99.999% 24h=100%* 7d=— 30d=—"
        " budget=43.1 min (99%) burn_1h=0.20x last_alert=cpu high resolved 11-21 03:58",
        "2026-11-21T04:00:00Z new state=none status=no_data 1h=— 24h=— 7d=— 30d=— budget=— burn_1h=— last_alert=—",
        "2026-11-21T04:00:00Z 2 tenants: 1 none, 1 up; worst: demo-callcenter 30d=—",
    ]
    moved = first | {"burn_rate": {"1h": 0.3}}
    assert teller.lines(SUMMARY | {"tenants": [moved, second]}, None, 59.0) == []
    [line] = teller.lines(SUMMARY | {"tenants": [moved | {"state": "down"}, second]}, None, 59.5)
    assert " demo-callcenter state=down " in line
    assert len(teller.lines(SUMMARY | {"tenants": [moved | {"state": "down"}, second]}, None, 60.0)) == 1


def test_where_there_is_no_terminal_a_problem_is_told_once() -> None:
    teller = PlainTeller()
    assert teller.lines(None, "the API does not answer", 0.0) == ["the API does not answer"]
    assert teller.lines(None, "the API does not answer", 2.0) == []


def test_without_tenants_there_is_a_line_all_the_same() -> None:
    assert PlainTeller().lines({"as_of": "now", "tenants": []}, None, 0.0) == ["now no tenants"]


class Api:
    """Answers summaries one after the other, then sets `stop`."""

    def __init__(self, *answers: Any) -> None:
        self.stop = asyncio.Event()
        self._answers = list(answers)
        app = web.Application()
        app.router.add_get("/api/v1/sla/summary", self._answer)
        self.server = TestServer(app)

    async def _answer(self, _request: web.Request) -> web.Response:
        answer = self._answers.pop(0)
        if not self._answers:
            self.stop.set()
        return web.json_response(answer) if answer is not None else web.Response(status=503)


async def watched(api: Api, *, terminal: bool, messages: list[Message]) -> str:
    console = Console(file=io.StringIO(), width=140, force_terminal=terminal, color_system=None)
    async with api.server:
        urls = StackUrls(str(api.server.make_url("")).rstrip("/"), "d", "s", "p", "a", "m")
        await asyncio.wait_for(watch(urls, api.stop, messages, console, interval=0.01), 20)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_a_pipe_gets_a_line_only_when_something_changed() -> None:
    later = {**SUMMARY, "as_of": "2026-11-21T04:00:02Z"}
    changed = {**later, "tenants": [{**SUMMARY["tenants"][0], "state": "down"}]}
    shown = await watched(
        Api(SUMMARY, later, changed), terminal=False, messages=[Message("db", "db is back")]
    )
    assert shown.count("demo-callcenter state=up") == 1
    assert shown.count("demo-callcenter state=down") == 1
    assert shown.count("db is back") == 1


async def test_an_api_that_is_away_is_said_once_and_the_table_goes_on() -> None:
    shown = await watched(Api(None, None, SUMMARY), terminal=False, messages=[])
    assert shown.count("does not answer") == 1
    assert "demo-callcenter state=up" in shown


async def test_a_terminal_keeps_the_last_table_while_the_api_is_away() -> None:
    shown = await watched(Api(SUMMARY, None), terminal=True, messages=[])
    last_frame = shown[shown.rindex("SLA as of") :]
    assert "demo-callcenter" in last_frame
    assert "does not answer" in last_frame


async def test_an_answer_that_is_not_a_summary_is_a_problem_not_a_crash() -> None:
    assert "does not answer (TypeError)" in await watched(Api([1]), terminal=False, messages=[])
