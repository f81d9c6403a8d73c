"""Statements of quarters and years over HTTP: made of their months', closed and restated with them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from ecpmon.storage.statements import PgStatementStore
from tests.integration.api.conftest import Service
from tests.integration.api.test_statements import a_march


async def report(service: Service, name: str, query: str) -> Any:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?{query}")
    assert status == 200, body
    return body


async def test_a_quarter_is_closed_and_restated_with_its_months(service: Service) -> None:
    name = await a_march(service)
    tenant = await service.runtime.tenants.get(name)
    assert (await report(service, name, "period=2026-Q1"))["state"] == "preliminary"
    service.clock.set(datetime(2026, 4, 4, 0, 1, tzinfo=UTC))
    await service.runtime.work.closing.run_once()
    store = PgStatementStore(service.runtime.database)
    assert [r.revision for r in await store.revisions(tenant, "2026-Q1")] == [1]
    month, quarter = (
        await report(service, name, "month=2026-03"),
        await report(service, name, "period=2026-Q1"),
    )
    # There was no tenant before March.
    assert [m["month"] for m in quarter["months"]] == ["2026-03"]
    assert (quarter["state"], quarter["of"], quarter["revision"]) == ("final", "2026-Q1", 1)
    assert quarter["months"][0]["digest"] == month["digest"]
    for key in (
        "down_minutes",
        "eligible_minutes",
        "incidents",
        "days",
        "failure_count",
        "credit_percent",
        "verdict",
    ):
        assert quarter[key] == month[key], key
    assert quarter["availability"] == pytest.approx(month["availability"])
    body = {"start": "2026-03-10T01:00:00Z", "duration": "4h", "reason": "approved by the customer"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 201
    await service.runtime.work.closing.run_once()
    again = await report(service, name, "period=2026-Q1")
    assert (again["revision"], again["verdict"], again["months"][0]["revision"]) == (2, "met", 2)
    assert again["restates"]["verdict"] == {"old": "breached", "new": "met"}
    assert (await report(service, name, "period=2026-Q1&revision=1"))["verdict"] == "breached"
    await service.runtime.work.closing.run_once()
    assert len(await store.revisions(tenant, "2026-Q1")) == 2
    # The year is not over; a month is a period as well.
    assert (await report(service, name, "period=2026"))["state"] == "preliminary"
    assert await report(service, name, "period=2026-03") == await report(service, name, "month=2026-03")


async def test_a_change_of_the_target_is_judged_by_the_months_budgets(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    body = {"sla_target": {"availability": "99.9%"}}
    assert (await service.ask("PUT", f"/api/v1/tenants/{name}", body))[0] == 200
    service.clock.set(datetime(2026, 4, 20, tzinfo=UTC))
    year = await report(service, name, "period=2026")
    assert [(m["month"], m["contract"]["target"]) for m in year["months"]] == [
        ("2026-03", 99.5),
        ("2026-04", 99.9),
    ]
    # From its first observation on March 1 the tenant is eligible; what is to come has its budget.
    march, rest = 0.005 * 31 * 1440, 0.001 * 275 * 1440
    assert year["error_budget"]["total_minutes"] == pytest.approx(march + rest)
    coming = [f"2026-{n:02}" for n in range(4, 13)]
    assert [v["months"] for v in year["contract"]["versions"]] == [["2026-03"], coming]
    assert [m["month"] for m in year["months_to_come"]] == coming[1:]
    quarter = await report(service, name, "period=2026-Q2")
    assert quarter["contract"]["target"] == 99.9
    assert quarter["error_budget"]["total_minutes"] == pytest.approx(0.001 * 91 * 1440)
    assert quarter["period"] == {"start": "2026-04-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"}


async def test_the_window_of_a_quarter_says_what_its_statement_says(service: Service) -> None:
    name = await a_march(service)
    for day, target in (
        (datetime(2026, 4, 3, tzinfo=UTC), "99.0%"),
        (datetime(2026, 5, 3, tzinfo=UTC), "99.95%"),
    ):
        service.clock.set(day)
        url = f"/api/v1/tenants/{name}"
        assert (await service.ask("PUT", url, {"sla_target": {"availability": target}}))[0] == 200
    service.clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    down = [{"timestamp": f"2026-05-19T{h:02}:00:00Z", "metrics": {"up": int(h > 6)}} for h in range(24)]
    assert (await service.ask("POST", f"{url}/monitoring", down))[0] == 202
    for at, of in (("2026-05-20T00:00:00Z", "2026-Q2"), ("2026-03-31T23:00:00Z", "2026-Q1")):
        service.clock.set(datetime.fromisoformat(at))
        _, body, _ = await service.ask("GET", f"{url}/sla?windows=quarter&at={at}")
        [window], told = body["windows"], await report(service, name, f"period={of}")
        for key in ("availability", "coverage", "recovery_time_avg"):
            assert told[key] == pytest.approx(window[key]), key
        assert (told["verdict"], told["failure_count"]) == (window["verdict"], window["failure_count"])
        assert [told["bounds"][side] for side in ("low", "high")] == [
            pytest.approx(window["bounds"][side]) for side in ("low", "high")
        ]
        budgets = [
            (b["total_minutes"], b["consumed_minutes"])
            for b in (told["error_budget"], window["error_budget"])
        ]
        assert budgets[0] == pytest.approx(budgets[1])
        assert told["contract"]["target"] == pytest.approx(window["contract"]["target"])
        assert told.get("to_come_minutes", 0.0) == pytest.approx(window["to_come_minutes"])
        versions = [int(v["contract"]["version"]) for v in told["contract"]["versions"]]
        assert versions == window["contract"]["versions"]
        assert (told["down_minutes"], told["eligible_minutes"]) == (
            window["down_minutes"],
            window["eligible_minutes"],
        )


async def test_a_month_before_the_tenant_is_in_its_year_as_soon_as_something_was_measured_in_it(
    service: Service,
) -> None:
    service.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    name = await service.tenant(push_interval=3600, push_mode="changes")
    told = [{"timestamp": f"2026-03-31T{h:02}:00:00Z", "metrics": {"up": int(h > 5)}} for h in range(24)]
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", told))[0] == 202
    for now in (datetime(2026, 4, 1, 12, tzinfo=UTC), datetime(2026, 4, 5, tzinfo=UTC)):
        service.clock.set(now)
        year = await report(service, name, "period=2026")
        assert [(m["month"], m["down_minutes"]) for m in year["months"]] == [("2026-03", 360), ("2026-04", 0)]


async def test_closed_months_are_not_worked_out_again_while_nothing_has_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    statements, months = service.runtime.statements, list[str]()
    compute = statements._compute

    async def counted(tenant: Any, month: str, *rest: Any) -> Any:
        months.append(month)
        return await compute(tenant, month, *rest)

    monkeypatch.setattr(statements, "_compute", counted)
    year = await report(service, name, "period=2026")
    assert {"2026-03", "2026-04"} <= set(months)
    months.clear()
    assert (await report(service, name, "period=2026"))["months"][0] == year["months"][0]
    assert "2026-03" not in months
    # Late data, and what is planned afterwards, is seen at once.
    body = {"timestamp": "2026-03-31T12:30:00Z", "metrics": {"up": 0}}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body))[0] == 202
    again = await report(service, name, "period=2026")
    assert again["months"][0]["down_minutes"] == year["months"][0]["down_minutes"] + 30
    window = {"start": "2026-03-31T12:30:00Z", "duration": "30m", "reason": "patches"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", window))[0] == 201
    after = await report(service, name, "period=2026")
    assert after["months"][0]["down_minutes"] == year["months"][0]["down_minutes"]
    # Who asks for the month itself has it worked out.
    months.clear()
    await report(service, name, "month=2026-03")
    assert months == ["2026-03"]


async def test_all_formats_know_quarters(service: Service) -> None:
    name = await a_march(service)
    url = f"/api/v1/tenants/{name}/sla/report?period=2026-Q1&format="
    _, page, _ = await service.ask("GET", url + "html")
    assert "2026-Q1" in page
    _, text, headers = await service.ask("GET", url + "csv")
    assert len(list(csv.DictReader(io.StringIO(text)))) == 31
    assert f"sla-{name}-2026-Q1.csv" in headers["Content-Disposition"]
    async with service.session.get(service.url + url + "pdf", headers=service.headers("admin")) as answer:
        assert (answer.status, (await answer.read())[:5]) == (200, b"%PDF-")


@pytest.mark.parametrize(
    ("query", "field"),
    [("period=2026-Q5", "period"), ("period=2026-Q2&month=2026-04", "period"), ("month=2026-Q1", "month"),
     ("month=2026", "month"), ("period=2027", "period"), ("period=2025", "period"), ("period=", "period")],
)  # fmt: skip
async def test_periods_that_cannot_be(service: Service, query: str, field: str) -> None:
    name = await service.tenant()
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?{query}")
    assert (status, body["error"]["details"]["fields"][0]["field"]) == (422, field)


async def test_the_quarter_of_a_deleted_tenant_ends_with_it(service: Service) -> None:
    name = await a_march(service)
    tenant = await service.runtime.tenants.get(name)
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}?force=true"))[0] == 202
    ended = service.clock.now()
    service.clock.advance(4 * 86_400)
    await service.runtime.work.closing.run_once()
    store = PgStatementStore(service.runtime.database)
    for of, months in (("2026-Q2", ["2026-04"]), ("2026", ["2026-03", "2026-04"])):
        assert len(await store.revisions(tenant, of)) == 1
        told = await report(service, name, f"period={of}")
        assert (told["state"], [m["month"] for m in told["months"]]) == ("final", months)
        assert told["deleted_at"] == told["period"]["end"]
        assert datetime.fromisoformat(told["deleted_at"]) == ended
