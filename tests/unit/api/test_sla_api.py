"""SLA figures (api.md §4), over real sockets with timelines in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import NOW, OUTSIDER, World, ago, ask, error_of, fields_of, make_app

from ecpmon.api import incidents, sla, summary
from ecpmon.api.routing import Permission
from ecpmon.model.availability import GapReason, Span, SpanState
from ecpmon.model.maintenance import Accounting, Maintenance
from ecpmon.model.windows import SlaStatus
from ecpmon.ports.alerts import AlertEvent
from ecpmon.ports.current import WINDOWS, Figures, Shown
from ecpmon.ports.tokens import Caller
from ecpmon.wire import rfc3339

URL = "/api/v1/tenants/acme/sla"
PLOT, INCIDENTS = URL + "/timeline", "/api/v1/tenants/acme/incidents"
ANALYSIS, SUMMARY = "/api/v1/simulator/sla/acme/analysis", "/api/v1/sla/summary"
UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP


def spans(*parts: tuple[float, SpanState], end: datetime = NOW) -> list[Span]:
    """`(minutes, state)` one after the other, the last one up to `end`."""
    found: list[Span] = []
    for minutes, state in reversed(parts):
        start = end - timedelta(minutes=minutes)
        found.insert(0, Span(start, end, state, GapReason.NOT_PUSHED if state is GAP else None))
        end = start
    return found


# One hour of data: 49 minutes up, 6 down, 5 unknown.
HOUR = spans((30, UP), (6, DOWN), (14, UP), (5, GAP), (5, UP))


def planned(start: datetime, minutes: float, **more: Any) -> Maintenance:
    return Maintenance("m1", start, timedelta(minutes=minutes), "work", "me", NOW, **more)


@pytest.fixture
def world() -> World:
    made = World()
    made.tenants.add("acme", sli_source="push")
    made.availability.spans["acme"] = HOUR
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([incidents, sla, summary], world))


async def good(client: Any, path: str) -> Any:
    status, body = await ask(client, "GET", path)
    assert status == 200, body
    return body


def test_everything_is_for_readers() -> None:
    table = [*sla.routes.table, *incidents.routes.table, *summary.routes.table]
    assert {(r.method, r.permission) for r in table} == {("GET", Permission.READ)}
    assert {r.path.replace("{tenant_id}", "acme") for r in table} == {URL, PLOT, INCIDENTS, ANALYSIS, SUMMARY}


async def test_a_window_has_every_figure(client: Any) -> None:
    body = await good(client, URL + "?windows=1h")
    assert (body["tenant_id"], body["target"], body["as_of"]) == ("acme", 99.5, "2026-03-02T09:00:00Z")
    close = pytest.approx
    [window] = body["windows"]
    assert window == {
        "window": "1h", "start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:00:00Z",
        "availability": close(100 * 49 / 55), "availability_other_accounting": close(100 * 49 / 55),
        "bounds": {"low": close(100 * 49 / 60), "high": close(90)}, "coverage": close(100 * 55 / 60),
        "verdict": "breached", "status": "violated", "eligible_minutes": 60, "up_minutes": 49,
        "down_minutes": 6, "gap_minutes": 5, "maintenance_minutes": 0, "outside_minutes": 0, "to_come_minutes": 0,
        "error_budget": {
            "total_minutes": close(0.3), "consumed_minutes": 6, "remaining_minutes": close(-5.7),
            "remaining_percent": close(-1900),
        },
        "burn_rate": close((6 / 55) / 0.005), "projected_exhaustion": "2026-03-02T09:00:00Z",
        "failure_count": 1, "recovery_time_avg": 360, "time_between_failures_avg": 2940,
        "contract": {"versions": [1], "target": 99.5, "valid_from": "2026-03-02T09:00:00Z"},
    }  # fmt: skip


async def test_figures_are_not_rounded(client: Any, world: World) -> None:
    world.availability.spans["acme"] = spans((50, UP), (1 / 60, DOWN), (10 - 1 / 60, UP))
    [window] = (await good(client, URL + "?windows=1h"))["windows"]
    assert window["availability"] == pytest.approx(100 * 3599 / 3600, rel=1e-12)
    assert window["down_minutes"] == pytest.approx(1 / 60, rel=1e-12)
    # 17 of 18 seconds are left, and a second is used up per hour.
    assert window["projected_exhaustion"] == "2026-03-03T02:00:00Z"


async def test_without_data_nothing_is_claimed(client: Any, world: World) -> None:
    world.availability.spans.clear()
    [window] = (await good(client, URL + "?windows=30d"))["windows"]
    nothing = ("availability", "coverage", "burn_rate", "projected_exhaustion", "recovery_time_avg")
    assert [window[n] for n in nothing] == [None] * 5
    assert window["bounds"] == {"low": None, "high": None}
    assert (window["verdict"], window["status"]) == ("undetermined", "no_data")
    assert window["error_budget"]["remaining_percent"] is None


async def test_windows_come_as_asked_for_and_once(client: Any) -> None:
    body = await good(client, URL + "?windows=7d,%201h,7d")
    assert [w["window"] for w in body["windows"]] == ["7d", "1h"]
    assert {"1h", "24h", "7d", "30d"} <= {w["window"] for w in (await good(client, URL))["windows"]}


async def test_at_asks_about_the_past_without_todays_hysteresis(client: Any, world: World) -> None:
    # 22 % of the budget are left: at risk only for who was at risk before.
    budget = 0.005 * 60
    world.availability.spans["acme"] = spans((30, UP), (budget * 0.78, DOWN), (30 - budget * 0.78, UP))
    world.availability.stored["acme"] = {"1h": SlaStatus.AT_RISK}
    [window] = (await good(client, URL + "?windows=1h"))["windows"]
    assert window["status"] == "at_risk"
    [window] = (await good(client, URL + "?windows=1h&at=2026-03-02T09:00:00Z"))["windows"]
    assert window["status"] == "meeting"


@pytest.mark.parametrize(
    "at",
    ["2026-03-02T08:35:00Z", "2026-03-02T17:35:00%2B09:00", "2026-03-02T17:35:00+09:00", "2026-03-02T08:35"],
)
async def test_at_is_any_iso_8601_time(client: Any, world: World, at: str) -> None:
    body = await good(client, f"{URL}?windows=1h&at={at}")
    assert body["as_of"] == "2026-03-02T08:35:00Z"
    assert (body["windows"][0]["eligible_minutes"], body["windows"][0]["down_minutes"]) == (35, 5)
    # What is known of it by now.
    assert world.availability.asked == [("acme", ago(minutes=85), NOW)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("windows=1y", "windows"), ("windows=", "windows"), ("windows=1h,,7d", "windows"), ("windows=1H", "windows"),
        ("at=", "at"), ("at=soon", "at"), ("at=2026-03-02T09:00:01Z", "at"), ("at=9999-12-31T23:59:59Z", "at"),
        ("at=0001-01-01T00:00:00Z", "at"), ("at=0001-01-01T00:00:00%2B09:00", "at"), ("at=1969-12-31", "at"),
    ],
)  # fmt: skip
async def test_questions_that_make_no_sense(client: Any, query: str, field: str) -> None:
    status, answer = await ask(client, "GET", f"{URL}?{query}")
    error = error_of(status, answer)
    assert (status, fields_of(error)) == (422, [field])
    if field == "windows":
        assert all(name in error["message"] for name in ("1h", "24h", "7d", "30d"))


async def test_a_deleted_tenants_history_stays(client: Any, world: World) -> None:
    await world.tenants.delete(await world.tenants.get("acme"), NOW)
    for path in (URL, PLOT, INCIDENTS):
        await good(client, path)
    assert (await ask(client, "GET", ANALYSIS))[0] == 404


async def test_maintenance_is_taken_out(client: Any, world: World) -> None:
    tenant = await world.tenants.get("acme")
    await world.maintenance.add(tenant, planned(ago(minutes=30), 6))
    [window] = (await good(client, URL + "?windows=1h"))["windows"]
    assert (window["maintenance_minutes"], window["down_minutes"], window["eligible_minutes"]) == (6, 0, 54)
    assert window["failure_count"] == 0
    assert (await good(client, INCIDENTS))["incidents"] == []
    short = await good(client, ANALYSIS)
    assert (short["current_sla"], short["failure_count"]) == (100, 0)


@pytest.mark.parametrize("accounting", list(Accounting))
async def test_the_analysis_says_what_the_windows_say(
    client: Any, world: World, accounting: Accounting
) -> None:
    world.tenants.rows[0] = world.tenants.rows[0].model_copy(update={"maintenance_accounting": accounting})
    await world.maintenance.add(world.tenants.rows[0], planned(ago(minutes=20), 10))
    [window] = (await good(client, URL + "?windows=24h"))["windows"]
    short = await good(client, ANALYSIS + "?period=24h")
    assert short == {
        "tenant_id": "acme", "current_sla": window["availability"], "target_sla": 99.5,
        "status": window["status"], "uptime_percentage": window["availability"],
        "failure_count": window["failure_count"], "recovery_time_avg": window["recovery_time_avg"],
        "bounds": window["bounds"], "coverage": window["coverage"], "verdict": window["verdict"],
        "gap_minutes": window["gap_minutes"], "state": "up", "stale": False, "flap_limit_seconds": 60,
        "contract": window["contract"],
    }  # fmt: skip
    assert window["availability"] != window["availability_other_accounting"]


async def test_an_analysis_of_a_year_knows_all_maintenance(client: Any, world: World) -> None:
    tenant, then = await world.tenants.get("acme"), ago(days=200)
    world.availability.spans["acme"] = [Span(then, then + timedelta(hours=1), DOWN), *HOUR]
    await world.maintenance.add(tenant, planned(then, 60))
    assert (await good(client, ANALYSIS + "?period=365d"))["failure_count"] == 1
    assert (await good(client, ANALYSIS))["failure_count"] == 1


@pytest.mark.parametrize("period", ["", "x", "0h", "-1h", "1.5h", "24", "1w", "367d", "99999d", "1h "])
async def test_periods_that_make_no_sense(client: Any, period: str) -> None:
    status, answer = await ask(client, "GET", f"{ANALYSIS}?period={period}")
    assert (status, fields_of(error_of(status, answer))) == (422, ["period"])


async def test_a_plot(client: Any) -> None:
    body = await good(client, PLOT + "?window=2h&step=30m")
    assert (body["tenant_id"], body["window"], body["step"]) == ("acme", "2h", "30m")
    assert [p["timestamp"] for p in body["points"]] == [rfc3339(ago(minutes=m)) for m in (120, 90, 60, 30)]
    assert {p["outside_minutes"] for p in body["points"]} == {0}
    empty = {"availability": None, "coverage": None, "down_minutes": 0, "gap_minutes": 0}
    shown = [
        {k: v for k, v in p.items() if k not in ("timestamp", "outside_minutes")} for p in body["points"]
    ]
    assert shown == [
        empty,
        empty,
        {"availability": 100, "coverage": 100, "down_minutes": 0, "gap_minutes": 0},
        {"availability": pytest.approx(100 * 19 / 25), "coverage": pytest.approx(100 * 25 / 30),
         "down_minutes": 6, "gap_minutes": 5},
    ]  # fmt: skip


async def test_a_plot_is_of_30_days_by_the_hour_unless_said_otherwise(client: Any) -> None:
    body = await good(client, PLOT)
    assert (body["window"], body["step"], len(body["points"])) == ("30d", "1h", 720)


async def test_the_steps_of_a_plot_do_not_move_with_the_clock(client: Any, world: World) -> None:
    world.clock.instant = NOW + timedelta(minutes=7, seconds=3)
    stamps = [p["timestamp"] for p in (await good(client, PLOT + "?window=1h&step=15m"))["points"]]
    assert stamps == [rfc3339(NOW + timedelta(minutes=m)) for m in (-60, -45, -30, -15, 0)]


@pytest.mark.parametrize("later", [0, 1800])
@pytest.mark.parametrize(("query", "status"), [("window=1999h&step=1h", 200), ("window=2000h&step=1h", 422)])
async def test_a_plot_has_at_most_2000_steps(
    client: Any, world: World, query: str, status: int, later: int
) -> None:
    world.clock.instant = NOW + timedelta(seconds=later)
    found, body = await ask(client, "GET", f"{PLOT}?{query}")
    assert found == status
    if status == 200:
        assert len(body["points"]) <= 2000


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("window=", "window"), ("window=x", "window"), ("window=0h", "window"), ("window=1w", "window"),
        ("step=", "step"), ("step=0m", "step"), ("step=-5m", "step"), ("step=1s", "step"), ("step=1m", "step"),
    ],
)  # fmt: skip
async def test_plots_that_make_no_sense(client: Any, query: str, field: str) -> None:
    status, answer = await ask(client, "GET", f"{PLOT}?{query}")
    assert (status, fields_of(error_of(status, answer))) == (422, [field])


async def test_incidents(client: Any, world: World) -> None:
    world.availability.spans["acme"] = spans((60, UP), (6, DOWN), (0.5, UP), (3, DOWN), (40, UP), (5, DOWN))
    body = await good(client, INCIDENTS)
    first = {
        "start": "2026-03-02T08:05:30Z", "end": "2026-03-02T08:15:00Z", "ongoing": False,
        "duration_seconds": 570, "down_seconds": 540, "recovery_seconds": 540, "cause": None, "budget_minutes": 9,
        "counted": {"start": "2026-03-02T08:05:30Z", "end": "2026-03-02T08:15:00Z"}, "recoveries": [],
    }  # fmt: skip
    second = {
        "start": "2026-03-02T08:55:00Z", "end": None, "ongoing": True,
        "duration_seconds": 300, "down_seconds": 300, "recovery_seconds": None, "cause": None, "budget_minutes": 5,
        "counted": {"start": "2026-03-02T08:55:00Z", "end": "2026-03-02T09:00:00Z"}, "recoveries": [],
    }  # fmt: skip
    assert body["incidents"] == [first, second]
    # What reaches out of a range is whole, and what lies inside is counted.
    _, old = await ask(client, "GET", f"{INCIDENTS}?from=2026-03-02T08:00:00Z&to=2026-03-02T08:10:00Z")
    assert [(i["end"], i["ongoing"]) for i in old["incidents"]] == [("2026-03-02T08:15:00Z", False)]
    assert [(i["counted"]["end"], i["recovery_seconds"]) for i in old["incidents"]] == [
        ("2026-03-02T08:10:00Z", 540)
    ]
    _, rest = await ask(client, "GET", f"{INCIDENTS}?from=2026-03-02T08:10:00Z&to=2026-03-02T08:30:00Z")
    both = [*old["incidents"], *rest["incidents"]]
    assert {i["start"] for i in both} == {"2026-03-02T08:05:30Z"}
    assert sum(i["down_seconds"] for i in both) == 540


async def test_of_an_incident_that_is_too_long_to_be_read_whole_begin_and_down_time_are_known(
    client: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaps = spans(*[(1 / 3, DOWN), (2 / 3, UP)] * 20, (30, UP))
    world.availability.spans["acme"] = flaps
    [whole] = (await good(client, INCIDENTS))["incidents"]
    assert (whole["down_seconds"], whole["recovery_seconds"]) == (pytest.approx(400), pytest.approx(400))
    monkeypatch.setattr(incidents, "MAX_CHANGES", 5)
    body = await good(client, INCIDENTS)
    [found] = body["incidents"]
    # Only the newest five outages were read, of one incident that began with the first.
    assert (body["from"], found["counted"]["start"]) == (rfc3339(flaps[30].start),) * 2
    assert {k: found[k] for k in ("start", "end", "duration_seconds")} == {
        k: whole[k] for k in ("start", "end", "duration_seconds")
    }
    assert (found["down_seconds"], found["recovery_seconds"]) == (pytest.approx(100), pytest.approx(400))
    # What was planned in the part that was not read is taken out as well.
    await world.maintenance.add(await world.tenants.get("acme"), planned(flaps[0].start, 2))
    [found] = (await good(client, INCIDENTS))["incidents"]
    assert found["recovery_seconds"] == pytest.approx(360)


async def test_the_future_has_no_incidents(client: Any) -> None:
    body = await good(client, INCIDENTS + "?to=2030-01-01T00:00:00Z")
    assert (body["from"], body["to"], len(body["incidents"])) == (rfc3339(ago(days=30)), rfc3339(NOW), 1)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=x", "from"), ("to=x", "to"), ("from=2026-03-02T09:00:00Z", "from"),
        ("from=2026-03-01&to=2026-02-28", "from"), ("from=2027-01-01", "from"), ("from=0001-01-01", "from"),
        ("from=0001-01-01T00:00:00%2B09:00", "from"), ("to=0001-01-01", "to"), ("to=1969-12-31", "to"),
        ("to=1970-01-01", "from"),
    ],
)  # fmt: skip
async def test_ranges_that_make_no_sense(client: Any, query: str, field: str) -> None:
    status, answer = await ask(client, "GET", f"{INCIDENTS}?{query}")
    assert (status, fields_of(error_of(status, answer))) == (422, [field])


async def test_old_ranges_with_recurring_maintenance(client: Any, world: World) -> None:
    weekly = planned(ago(days=-1), 60, rrule="FREQ=WEEKLY", time_zone="Asia/Seoul")
    await world.maintenance.add(await world.tenants.get("acme"), weekly)
    assert len((await good(client, INCIDENTS + "?from=1970-01-01T00:00:00Z"))["incidents"]) == 1
    await good(client, URL + "?at=1970-01-01T00:00:00Z")


@pytest.mark.parametrize("path", [URL, PLOT, INCIDENTS, ANALYSIS])
@pytest.mark.parametrize("name", ["acme", "nobody", "Not%20A%20Name"])
async def test_an_outsider_finds_nothing(aiohttp_client: Any, world: World, path: str, name: str) -> None:
    client = await aiohttp_client(make_app([incidents, sla, summary], world, OUTSIDER))
    status, answer = await ask(client, "GET", path.replace("acme", name))
    assert (status, error_of(status, answer)["code"]) == (404, "TENANT_NOT_FOUND")
    assert world.availability.asked == []


def event(number: int, before: str, after: str) -> AlertEvent:
    return AlertEvent(
        number, "acme", "r", "a", "SlaBudgetBurn", "page", "burn_rate", before, after, ago(minutes=9 - number),
        None, None, None, "held_for", "m",
    )  # fmt: skip


async def test_a_row_of_the_summary(client: Any, world: World) -> None:
    world.alerts.events = [event(1, "pending", "firing"), event(2, "firing", "inactive")]
    body = await good(client, SUMMARY)
    assert body["as_of"] == "2026-03-02T09:00:00Z"
    [row] = body["tenants"]
    close = pytest.approx
    figures = {
        "availability": close(100 * 49 / 55), "status": "violated", "coverage": close(100 * 55 / 60),
        "bounds": {"low": close(100 * 49 / 60), "high": close(90)},
        "budget_remaining_percent": close(-1900), "burn_rate": close((6 / 55) / 0.005), "contract_versions": [1],
    }  # fmt: skip
    rolling = {name: row["windows"].pop(name) for name in ("1h", "24h", "7d", "30d")}
    assert rolling == dict.fromkeys(rolling, figures)
    assert all(set(w) == set(figures) for w in row.pop("windows").values()), "windows added later"
    assert row == {
        "tenant_id": "acme", "name": "acme", "tenant_status": "running", "target": 99.5, "state": "up",
        "status": "violated", "stale": False, "as_of": "2026-03-02T09:00:00Z",
        "error_budget": {"remaining_minutes": close(-5.7), "remaining_percent": close(-1900)},
        "burn_rate": dict.fromkeys(("1h", "24h"), figures["burn_rate"]),
        "last_alert": {"alert_name": "SlaBudgetBurn", "status": "resolved", "at": "2026-03-02T08:53:00Z"},
    }  # fmt: skip


async def test_the_summary_begins_with_the_worst(client: Any, world: World) -> None:
    down = 0.005 * 60
    shapes = {
        "b-fine": spans((60, UP)), "a-fine": spans((60, UP)), "used": spans((60 - down / 2, UP), (down / 2, DOWN)),
        "risky": spans((60 - down * 0.9, UP), (down * 0.9, DOWN)), "blind": spans((60, GAP)),
        "bad": spans((59, UP), (1, DOWN)), "new": [],
    }  # fmt: skip
    for name, found in shapes.items():
        world.tenants.add(name, sli_source="push")
        world.availability.spans[name] = found
    rows = (await good(client, SUMMARY))["tenants"]
    assert [(r["tenant_id"], r["status"], r["state"]) for r in rows] == [
        ("acme", "violated", "up"), ("bad", "violated", "down"), ("risky", "at_risk", "down"),
        ("blind", "no_data", "gap"), ("new", "no_data", "none"), ("used", "meeting", "down"),
        ("a-fine", "meeting", "up"), ("b-fine", "meeting", "up"),
    ]  # fmt: skip
    assert {r["tenant_id"]: r["last_alert"] for r in rows}["new"] is None


async def test_the_summary_remembers_statuses(client: Any, world: World) -> None:
    budget = 0.005 * 60
    world.availability.spans["acme"] = spans((30, UP), (budget * 0.78, DOWN), (30 - budget * 0.78, UP))
    assert (await good(client, SUMMARY))["tenants"][0]["status"] == "meeting"
    world.availability.stored["acme"] = {"30d": SlaStatus.AT_RISK}
    assert (await good(client, SUMMARY))["tenants"][0]["status"] == "at_risk"


async def test_the_summary_shows_what_was_found_a_moment_ago_and_works_out_the_rest(
    client: Any, world: World
) -> None:
    world.tenants.add("other", sli_source="push")
    shown = Shown(SlaStatus.AT_RISK, 0.75, 0.5, 2.5, 0.125, 0.375, 0.875)
    figures = Figures(ago(seconds=20), dict.fromkeys(WINDOWS, shown), 90.0)
    world.current.found["other"] = figures, SpanState.GAP
    for state, alert in ((SpanState.GAP, None), (SpanState.UP, None), (SpanState.UP, "firing")):
        world.current.found["other"] = figures, state
        if alert is not None:
            world.alerts.events = [replace(event(1, "pending", alert), tenant_id="other")]
        rows = {r["tenant_id"]: r for r in (await good(client, SUMMARY))["tenants"]}
        assert (rows["acme"]["as_of"], rows["acme"]["status"]) == ("2026-03-02T09:00:00Z", "violated")
        other = rows["other"]
        assert (other["as_of"], other["status"], other["state"]) == ("2026-03-02T08:59:40Z", "at_risk", state)
        assert other["stale"] is (state is SpanState.GAP)
        assert list(other["windows"]) == list(WINDOWS)
        for window in other["windows"].values():
            assert window == {
                "availability": 75, "bounds": {"low": 37.5, "high": 87.5}, "coverage": 50,
                "status": "at_risk", "budget_remaining_percent": 12.5, "burn_rate": 2.5,
                "contract_versions": [1],
            }  # fmt: skip
        assert other["error_budget"] == {"remaining_minutes": 1.5, "remaining_percent": 12.5}
        assert (other["last_alert"] or {}).get("status") == alert
    assert world.current.asked == [["acme", "other"]] * 3


@pytest.mark.parametrize(
    ("tenants", "seen"),
    [(None, ["acme", "other"]), (frozenset({2, 3}), ["other"]), (frozenset(), [])],
)
async def test_the_summary_shows_what_the_caller_may_see(
    aiohttp_client: Any, world: World, tenants: frozenset[int] | None, seen: list[str]
) -> None:
    world.tenants.add("other")
    await world.tenants.delete(world.tenants.add("gone"), NOW)
    caller = Caller("c", frozenset({"viewer"}), tenants)
    client = await aiohttp_client(make_app([incidents, sla, summary], world, caller))
    assert [r["tenant_id"] for r in (await good(client, SUMMARY))["tenants"]] == seen
