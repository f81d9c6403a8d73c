"""One month, one answer: the window of a month and its statement agree, whatever was changed when."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service

HOUR = timedelta(hours=1)
OWN = {
    "tiers": [{"below_percent": "target", "credit_percent": 7}, {"below_percent": 90, "credit_percent": 50}]
}


async def get(service: Service, path: str, expected: int = 200) -> dict[str, Any]:
    status, answer, _ = await service.ask("GET", f"/api/v1/tenants/{path}")
    assert status == expected, answer
    found: dict[str, Any] = answer
    return found


async def put(service: Service, name: str, **body: Any) -> dict[str, Any]:
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", body)
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def push(service: Service, name: str, up: int) -> None:
    url = f"/api/v1/tenants/{name}/monitoring"
    status, body, _ = await service.ask("POST", url, {"metrics": {"up": up}})
    assert (status, body["rejected"]) == (202, [])


async def window(service: Service, name: str, window: str, at: datetime | None = None) -> dict[str, Any]:
    asked = "" if at is None else f"&at={at.isoformat().replace('+00:00', 'Z')}"
    [found] = (await get(service, f"{name}/sla?windows={window}{asked}"))["windows"]
    return dict(found)


def label(at: datetime, offset: int) -> str:
    return (at + timedelta(hours=offset)).strftime("%Y-%m")


def agree(month: dict[str, Any], statement: dict[str, Any]) -> None:
    assert [str(v) for v in month["contract"]["versions"]] == [statement["contract"]["version"]]
    assert month["contract"]["target"] == pytest.approx(statement["contract"]["target"], abs=1e-9)
    assert month["contract"]["valid_from"] == statement["contract"]["valid_from"]
    assert (month["start"], month["verdict"]) == (statement["period"]["start"], statement["verdict"])
    for figure in ("availability", "coverage", "eligible_minutes", "down_minutes", "gap_minutes"):
        assert month[figure] == pytest.approx(statement[figure], abs=1e-6), figure
    for bound in ("low", "high"):
        assert month["bounds"][bound] == pytest.approx(statement["bounds"][bound], abs=1e-9)
    for part in ("total_minutes", "consumed_minutes", "remaining_minutes"):
        assert month["error_budget"][part] == pytest.approx(statement["error_budget"][part], abs=1e-6), part


@pytest.mark.parametrize(("time_zone", "offset"), [("Asia/Seoul", 9), ("America/Phoenix", -7)])
async def test_the_month_and_its_statement_agree_after_every_change(
    service: Service, time_zone: str, offset: int
) -> None:
    luck = random.Random(time_zone)
    name = await service.tenant(
        sla_target={"availability": "99.9%"}, time_zone=time_zone, push_interval=86_400, push_mode="changes"
    )
    # On the day of the creation: it counts from the creation.
    service.clock.advance(3600)
    answer = await put(service, name, sla_target={"availability": "99%"})
    assert answer["contract"] == {"version": 2, "valid_from": "2026-03-02T09:00:00Z"}
    assert (await window(service, name, "month"))["contract"]["versions"] == [2]
    border = datetime(2026, 4, 1, tzinfo=UTC) - offset * HOUR
    changes: dict[datetime, dict[str, Any]] = {
        # Once in March, twice in April, and around the border of the month where the tenant is.
        NOW + timedelta(days=12): {"sla_target": {"availability": "95%"}},
        border - timedelta(seconds=1): {"sla_target": {"availability": "97%"}},
        border + timedelta(seconds=1): {"sla_target": {"availability": "99.9%"}},
        border + timedelta(days=9): {"sla_target": {"availability": "90%"}, "credits": OWN},
        border + timedelta(days=19): {"sla_target": {"availability": "96%"}},
    }
    instants = {NOW + timedelta(hours=luck.uniform(2, 24 * 80)) for _ in range(40)} | set(changes)
    instants |= {NOW + n * timedelta(hours=30) for n in range(1, 70)}
    for at in sorted(instants):
        service.clock.set(at)
        if at in changes:
            await put(service, name, **changes[at])
        await push(service, name, int(luck.random() < 0.9))
        if luck.random() < 0.3 or at in changes:
            statement = await get(service, f"{name}/sla/report")
            month = await window(service, name, "month")
            agree(month, statement)
            assert statement["month"] == label(at, offset)
            assert month == await window(service, name, "month", at) | {"status": month["status"]}
    # The versions that were in force: of two changes in a month the last one is.
    history = (await get(service, f"{name}/contract/versions"))["versions"]
    assert [(v["version"], v["sla_target"]["availability"]) for v in history if v["replaced_at"] is None] == [
        (7, "96%"),
        (4, "97%"),
        (2, "99%"),
    ]
    # Closed months say what was said when they were open, and a quarter is the sum of its months.
    service.clock.set(datetime(2026, 7, 10, tzinfo=UTC))
    closed = {
        m: await get(service, f"{name}/sla/report?month={m}") for m in ("2026-03", "2026-04", "2026-05")
    }
    assert [(s["contract"]["version"], s["contract"]["target"]) for s in closed.values()] == [
        ("2", 99), ("4", pytest.approx(97)), ("7", pytest.approx(96)),
    ]  # fmt: skip
    assert [len(s["contract"]["credit_tiers"]) for s in closed.values()] == [3, 3, 2]
    assert {s["state"] for s in closed.values()} == {"final"}
    for month, statement in closed.items():
        last = datetime.fromisoformat(statement["period"]["end"]) - timedelta(microseconds=1)
        shown = await window(service, name, "month", last)
        assert (shown["contract"]["versions"], shown["verdict"]) == (
            [int(statement["contract"]["version"])],
            statement["verdict"],
        ), month
    end = datetime.fromisoformat(closed["2026-05"]["period"]["end"])
    quarter, ours = await window(service, name, "quarter", end), list(closed.values())[1:]
    assert quarter["contract"]["versions"] == [4, 7]
    june = 30 * 1440 * 0.04
    for part, more in (("total_minutes", june), ("consumed_minutes", 0)):
        together = sum(s["error_budget"][part] for s in ours) + more
        assert quarter["error_budget"][part] == pytest.approx(together, abs=1e-6)
    # Measured so far: between the targets of its months.
    assert 96 < quarter["contract"]["target"] < 97
    # The statement of the whole quarter is made of its months' statements, and the window of sums: they agree.
    whole = await get(service, f"{name}/sla/report?period=2026-Q2")
    over = datetime.fromisoformat(whole["period"]["end"]) - timedelta(microseconds=1)
    quarter = await window(service, name, "quarter", over)
    assert (whole["state"], whole["verdict"]) == ("final", quarter["verdict"])
    assert [v["contract"]["version"] for v in whole["contract"]["versions"]] == ["4", "7"]
    assert quarter["contract"]["versions"] == [4, 7]
    assert quarter["contract"]["target"] == pytest.approx(whole["contract"]["target"], abs=1e-6)
    for figure in ("availability", "coverage", "eligible_minutes", "down_minutes", "gap_minutes"):
        assert quarter[figure] == pytest.approx(whole[figure], abs=1e-6), figure
    for part in ("total_minutes", "consumed_minutes"):
        assert quarter["error_budget"][part] == pytest.approx(whole["error_budget"][part], abs=1e-6), part


async def test_rolling_windows_are_judged_by_the_newest_version_at_once(service: Service) -> None:
    name = await service.tenant(sla_target={"availability": "99%"}, push_interval=86_400, push_mode="changes")
    await push(service, name, 1)
    service.clock.advance(86_400)
    before = service.clock.now()
    service.clock.advance(60)
    await put(service, name, sla_target={"availability": "99.9%"})
    answer = await get(service, f"{name}/sla?windows=24h,30d,month,quarter")
    assert answer["target"] == 99.9
    assert [w["contract"] for w in answer["windows"]] == [
        {"versions": [2], "target": 99.9, "valid_from": "2026-04-01T00:00:00Z"},
        {"versions": [2], "target": 99.9, "valid_from": "2026-04-01T00:00:00Z"},
        {"versions": [1], "target": 99.0, "valid_from": "2026-03-02T09:00:00Z"},
        {"versions": [1], "target": 99.0, "valid_from": "2026-03-02T09:00:00Z"},
    ]
    past = await window(service, name, "30d", before)
    assert past["contract"] == {"versions": [1], "target": 99.0, "valid_from": "2026-03-02T09:00:00Z"}
    analysis = (await service.ask("GET", f"/api/v1/simulator/sla/{name}/analysis?period=24h"))[1]
    assert (analysis["target_sla"], analysis["contract"]["versions"]) == (99.9, [2])


async def test_the_summary_and_the_job_judge_the_month_as_the_statement_does(service: Service) -> None:
    name = await service.tenant(sla_target={"availability": "90%"}, push_interval=86_400, push_mode="changes")
    await push(service, name, 0)
    service.clock.advance(7200)
    await push(service, name, 1)
    service.clock.advance(2 * 86_400)
    await put(service, name, sla_target={"availability": "99.9%"})
    month = await window(service, name, "month")

    async def row() -> dict[str, Any]:
        rows = (await service.ask("GET", "/api/v1/sla/summary"))[1]["tenants"]
        return next(dict(r["windows"]) for r in rows if r["tenant_id"] == name)

    worked_out = await row()
    await service.runtime.work.rolling.run_once()
    stored = await row()
    for shown in (worked_out, stored):
        left = month["error_budget"]["remaining_percent"]
        assert shown["month"]["budget_remaining_percent"] == pytest.approx(left)
        assert (shown["month"]["status"], shown["30d"]["status"]) == ("meeting", "violated")
        assert shown["month"]["burn_rate"] == pytest.approx(month["burn_rate"])
        assert shown["30d"]["burn_rate"] == pytest.approx(100 * month["burn_rate"])


async def test_the_contract_is_told_with_what_comes_next(service: Service) -> None:
    name = await service.tenant(credits=OWN)
    found = await get(service, f"{name}/contract")
    assert (found["in_force"]["version"], found["in_force"]["credits"], found["next"]) == (
        1,
        {"version": "own", **OWN},
        None,
    )
    assert found["in_force"]["created_by"] == "admin"
    service.clock.advance(86_400)
    answer = await put(
        service, name, credits=None, maintenance_accounting="count_as_up", time_zone="Asia/Seoul"
    )
    assert (answer["credits"], answer["maintenance_accounting"], answer["time_zone"]) == (
        None,
        "count_as_up",
        "Asia/Seoul",
    )
    found = await get(service, f"{name}/contract")
    assert (found["in_force"]["version"], found["next"]["version"]) == (1, 2)
    assert (found["next"]["valid_from"], found["next"]["credits"]) == ("2026-04-01T00:00:00Z", None)
    detail = await get(service, name)
    assert detail["contract"] == answer["contract"] == {"version": 2, "valid_from": "2026-04-01T00:00:00Z"}
    told = await service.runtime.database.fetchrow(
        "SELECT actor, before, after FROM audit_log WHERE subject = $1 AND action = 'tenant.changed'", name
    )
    assert (told["actor"], told["before"]["contract_version"], told["after"]["contract_version"]) == (
        "admin",
        1,
        2,
    )
    assert (told["before"]["credits"], told["after"]["credits"]) == ({"version": "own", **OWN}, None)
    assert [v["version"] for v in (await get(service, f"{name}/contract/versions?limit=1"))["versions"]] == [
        2
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"credits": {"tiers": [{"below_percent": 99, "credit_percent": 10}]}}, "credits.tiers"),
        ({"credits": {"tiers": []}}, "credits.tiers"),
        ({"credits": []}, "credits"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"maintenance_accounting": None}, "maintenance_accounting"),
    ],
)
async def test_a_contract_that_cannot_be_is_refused(service: Service, body: Any, field: str) -> None:
    name = await service.tenant()
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", body)
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    assert field in [f["field"] for f in answer["error"]["details"]["fields"]]
    assert [v["version"] for v in (await get(service, f"{name}/contract/versions"))["versions"]] == [1]
