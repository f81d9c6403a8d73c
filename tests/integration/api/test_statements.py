"""Statements: closed once, restated with a difference, in four formats that agree."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import PIL.Image
import pypdf
import pytest

from ecpmon.app.closing import StatementClosing
from ecpmon.model.statements import CreditTier
from ecpmon.model.tenants import Language
from ecpmon.sla.statements import is_month
from ecpmon.statements.look import Look, UnusableLogo
from ecpmon.statements.pdf import UnusableFont, to_pdf
from ecpmon.statements.service import StatementService
from ecpmon.statements.terms import Terms
from ecpmon.storage.faults import DatabaseRefused
from ecpmon.storage.statements import PgStatementStore
from tests.integration.api.closing import of_another_leader
from tests.integration.api.conftest import NOW, Service

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


async def a_march(service: Service, **more: Any) -> str:
    """A tenant observed all March (an hour per observation), down for five hours on the 10th; it is now April 2."""
    name = await service.tenant(push_interval=3600, push_mode="changes", **more)
    url = f"/api/v1/tenants/{name}/monitoring"
    for week in range(5):
        service.clock.set(MARCH + timedelta(days=min(7 * week + 7, 32)))
        hours = range(7 * 24 * week, min(7 * 24 * (week + 1), 31 * 24 + 24))
        batch = [
            {
                "timestamp": (MARCH + timedelta(hours=h)).isoformat(),
                "metrics": {"up": 0 if 216 <= h < 221 else 1},
            }
            for h in hours
        ]
        status, body, _ = await service.ask("POST", url, batch)
        assert (status, body["rejected"]) == (202, [])
    return name


async def report(service: Service, name: str, query: str = "") -> dict[str, Any]:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03{query}")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


async def test_a_month_is_closed_once_and_restated_with_a_difference(service: Service) -> None:
    name = await a_march(service)
    preliminary = await report(service, name)
    assert (preliminary["state"], preliminary["down_minutes"]) == ("preliminary", 300)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    first = await report(service, name)
    assert (first["state"], first["revision"], first["verdict"]) == ("final", 1, "breached")
    assert first["availability"] == pytest.approx(100 * (744 - 5) / 744)
    assert first["credit_percent"] == 5
    assert first["coverage"] == 100
    assert len(first["days"]) == 31
    assert [d["down_minutes"] for d in first["days"] if d["down_minutes"]] == [300]
    assert await report(service, name) == first
    # A closed statement is whole in itself: it outlives the alerts of its month.
    tenant = await service.runtime.tenants.get(name)
    of_tenant = ("SELECT count(*) FROM alert_events WHERE tenant = $1", tenant.key)
    await service.runtime.work.evaluate_alerts()  # nothing is measured any more
    assert await service.runtime.database.fetchval(*of_tenant) > 0
    await service.runtime.database.execute(
        "UPDATE notifications SET status = 'sent', finished_at = created_at WHERE tenant = $1", tenant.key
    )
    await service.runtime.database.execute(
        "UPDATE alert_states s SET status = 'inactive', alert_id = NULL"
        " FROM alert_rules r WHERE r.rule_id = s.rule_id AND r.tenant = $1",
        tenant.key,
    )
    service.clock.set(datetime(2027, 9, 1, tzinfo=UTC))
    [retention] = [job for job in service.runtime.work.jobs() if job.name == "alert_retention"]
    await retention.run()
    assert await service.runtime.database.fetchval(*of_tenant) == 0
    assert await report(service, name) == first
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    body = {"start": "2026-03-10T01:00:00Z", "duration": "4h", "reason": "approved by the customer"}
    await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    second = await report(service, name)
    assert (second["revision"], second["down_minutes"], second["verdict"]) == (2, 60, "met")
    assert second["restates"]["verdict"] == {"old": "breached", "new": "met"}
    assert second["restates"]["exclusions"]["added"][0]["approved_by"] == "admin"
    assert second["digest"] != first["digest"]
    old = await report(service, name, "&revision=1")
    assert (old["down_minutes"], old["revisions"]) == (300, 2)
    tenant = await service.runtime.tenants.get(name)
    assert not await service.runtime.statements.restate(tenant, "2026-03", service.clock.now())
    with pytest.raises(DatabaseRefused, match="a closed statement is not changed"):
        await service.runtime.database.execute("UPDATE statements SET digest = repeat('0', 64)")


async def test_months_that_ended_while_nobody_was_there_are_closed_when_somebody_is(service: Service) -> None:
    name = await a_march(service)
    tenant = await service.runtime.tenants.get(name)
    # From April 2 to June 5 the service stood still.
    service.clock.set(datetime(2026, 6, 5, tzinfo=UTC))
    await service.runtime.work.closing.run_once()
    found = await PgStatementStore(service.runtime.database).digests(
        tenant, ["2026-02", "2026-03", "2026-04", "2026-05", "2026-Q1"]
    )
    assert sorted(found) == ["2026-03", "2026-04", "2026-05", "2026-Q1"]


async def test_the_four_formats_agree(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    data = await report(service, name)
    url = f"/api/v1/tenants/{name}/sla/report?month=2026-03&format="
    _, text, headers = await service.ask("GET", url + "csv")
    assert headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [float(r["down_minutes"]) for r in rows] == [d["down_minutes"] for d in data["days"]]
    _, page, _ = await service.ask("GET", url + "html")
    async with service.session.get(service.url + url + "pdf", headers=service.headers("admin")) as answer:
        assert answer.headers["Content-Type"] == "application/pdf"
        pdf = pypdf.PdfReader(io.BytesIO(await answer.read()))
    words = "\n".join(p.extract_text() for p in pdf.pages)
    for text in (page, words):
        for fact in (
            "The SLA was not met.",
            "99.327 %",
            "99.500 %",
            "300.0 min",
            data["digest"],
            "5 % of the monthly fee",
        ):
            assert fact in text, fact


async def pdf_of(service: Service, name: str, query: str = "") -> pypdf.PdfReader:
    url = f"{service.url}/api/v1/tenants/{name}/sla/report?month=2026-03&format=pdf{query}"
    async with service.session.get(url, headers=service.headers("admin")) as answer:
        assert answer.status == 200, await answer.text()
        return pypdf.PdfReader(io.BytesIO(await answer.read()))


def words_of(pdf: pypdf.PdfReader) -> str:
    return "\n".join(p.extract_text() for p in pdf.pages)


async def test_a_statement_is_in_the_tenants_language(service: Service) -> None:
    name = await a_march(service, name="글로벌 콜센터", language="ko")
    open_month, _ = await pdf_of(service, name), service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    assert "잠정" in words_of(open_month)
    pdf = await pdf_of(service, name)
    words = words_of(pdf)
    for told in (
        "SLA 보고서 2026-03 – 글로벌 콜센터", "SLA를 충족하지 못했습니다.", "가용률", "99.327 %", "목표", "300.0분",
        "월 요금의 5 %", "일별", "1,440.0분", "입력 데이터의 SHA-256", "1쪽",
    ):  # fmt: skip
        assert told in words, told
    fonts = [font.get_object() for font in pdf.pages[0]["/Resources"]["/Font"].values()]  # type: ignore[index]
    embedded = [f for f in fonts if "NanumSquare" in f["/BaseFont"]]
    assert embedded
    assert all(len(f["/FontDescriptor"]["/FontFile2"].get_data()) > 1000 for f in embedded)
    # Whoever reads the other one asks for it, or the tenant is told otherwise.
    assert "The SLA was not met." in words_of(await pdf_of(service, name, "&language=en"))
    status, body, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", {"language": "en"})
    assert (status, body["language"]) == (200, "en")
    assert (await service.ask("GET", f"/api/v1/tenants/{name}"))[1]["language"] == "en"
    assert "The SLA was not met." in words_of(await pdf_of(service, name))
    _, page, _ = await service.ask(
        "GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03&format=html&language=ko"
    )
    assert '<html lang="ko">' in page
    for wrong in ({"language": "fr"}, {"language": None}):
        assert (await service.ask("PUT", f"/api/v1/tenants/{name}", wrong))[0] == 422
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03&language=fr"))[
        0
    ] == 422


async def test_an_open_month_says_so_far_in_both_languages(service: Service) -> None:
    name = await service.tenant(push_interval=3600)
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    service.clock.advance(600)
    english, korean = (
        words_of(await pdf_of(service, name)),
        words_of(await pdf_of(service, name, "&language=ko")),
    )
    assert "So far the SLA is met: the down time is within" in english
    assert "현재까지 SLA를 충족하고 있습니다:" in korean
    service.clock.set(datetime(2026, 3, 31, tzinfo=UTC))
    _, page, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03&format=html")
    assert "Availability so far" in page


async def test_a_name_in_another_script_than_the_statements_is_embedded(
    service: Service, tmp_path: Path
) -> None:
    name = await service.tenant(push_interval=3600, name="글로벌 Müller 콜센터")
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    service.clock.advance(600)
    tenant = await service.runtime.tenants.get(name)
    told = await service.runtime.statements.report(tenant, "2026-03", service.clock.now())
    assert told is not None
    data = told.data()
    for language in Language:
        look = Look(language, "운영사 Ö")
        assert "글로벌 Müller 콜센터" in words_of(pypdf.PdfReader(io.BytesIO(to_pdf(data, look))))
        assert to_pdf(data, look) == to_pdf(data, look)
    no_font = tmp_path / "no.ttf"
    no_font.write_text("not a font")
    with pytest.raises(UnusableFont, match=r"no\.ttf cannot be embedded"):
        to_pdf(data, Look(font=no_font))


@pytest.mark.parametrize("kind", ["png", "svg"])
async def test_a_pdf_carries_the_logo_and_the_operators_name(
    service: Service, tmp_path: Path, kind: str
) -> None:
    name = await service.tenant(push_interval=3600)
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    service.clock.advance(600)
    tenant = await service.runtime.tenants.get(name)
    told = await service.runtime.statements.report(tenant, "2026-03", service.clock.now())
    assert told is not None
    data, logo = told.data(), tmp_path / f"logo.{kind}"
    if kind == "png":
        PIL.Image.new("RGB", (400, 100), "navy").save(logo)
    else:
        box = '<rect width="400" height="100" fill="#000080"/><text x="9" y="60">회사</text>'
        logo.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 100" width="400" height="100">{box}</svg>'
        )
    plain = to_pdf(data, Look(operator="ACME Cloud"))
    made = to_pdf(data, Look(operator="ACME Cloud", logo=logo))
    pdf = pypdf.PdfReader(io.BytesIO(made))
    assert "Issued by ACME Cloud" in words_of(pdf)
    assert pdf.metadata is not None
    assert pdf.metadata.author == "ACME Cloud"
    assert len(pdf.pages[0].images) == (kind == "png")
    assert made != plain
    logo.write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10broken" if kind == "png" else b"<svg>broken"
    )
    with pytest.raises(UnusableLogo, match="cannot be drawn"):
        to_pdf(data, Look(logo=logo))


async def test_what_people_typed_cannot_become_markup(service: Service) -> None:
    name = await service.tenant(push_interval=3600, name="<script>alert(1)</script> 글로벌 콜센터")
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    service.clock.advance(600)
    url = f"/api/v1/tenants/{name}/sla/report?month=2026-03&format="
    _, page, _ = await service.ask("GET", url + "html")
    assert "<script>" not in page
    async with service.session.get(service.url + url + "pdf", headers=service.headers("admin")) as answer:
        pdf = pypdf.PdfReader(io.BytesIO(await answer.read()))
    words = pdf.pages[0].extract_text()
    assert "글로벌" in words
    assert "콜센터" in words


@pytest.mark.parametrize(
    ("query", "status"),
    [("month=2026-13", 422), ("month=march", 422), ("month=2026-05", 422), ("month=2026-03&format=docx", 422),
     ("month=2026-03&revision=0", 422), ("month=2026-03&revision=%C2%B2", 422),
     ("month=%D9%A2%D9%A0%D9%A2%D9%A6-01", 422), ("month=2026-03&revision=7", 404), ("month=1999-01", 422)],
)  # fmt: skip
async def test_statements_that_cannot_be(service: Service, query: str, status: int) -> None:
    name = await service.tenant()
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?{query}"))[0] == status


async def test_a_month_before_the_tenant_existed_claims_nothing(service: Service) -> None:
    name = await service.tenant()
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-01")
    assert (body["availability"], body["verdict"], body["credit_percent"]) == (None, "undetermined", None)
    # And is never closed: there was no contract, and a reader could make any number of them.
    assert body["state"] == "preliminary"
    await service.runtime.work.closing.run_once()
    tenant = await service.runtime.tenants.get(name)
    for month in ("2026-01", "2026-02"):
        assert await PgStatementStore(service.runtime.database).revisions(tenant, month) == []


async def test_the_present_month_is_the_tenants(service: Service) -> None:
    name = await service.tenant(time_zone="Asia/Seoul")
    service.clock.set(datetime(2026, 3, 31, 20, tzinfo=UTC))
    _, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report")
    assert (body["month"], body["period"]["start"]) == ("2026-04", "2026-03-31T15:00:00Z")


async def test_the_last_month_of_a_deleted_tenant_is_closed_as_well(service: Service) -> None:
    name = await a_march(service)
    tenant = await service.runtime.tenants.get(name)
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 202
    service.clock.set(datetime(2026, 4, 4, 0, 1, tzinfo=UTC))
    await service.runtime.work.closing.run_once()
    [closed] = await PgStatementStore(service.runtime.database).revisions(tenant, "2026-03")
    assert orjson.loads(closed.document)["down_minutes"] > 0
    service.clock.set(datetime(2026, 5, 4, 0, 1, tzinfo=UTC))
    await service.runtime.work.closing.run_once()  # it was deleted when April was a day old
    [closed] = await PgStatementStore(service.runtime.database).revisions(tenant, "2026-04")
    assert orjson.loads(closed.document)["eligible_minutes"] == 1440
    service.clock.set(datetime(2026, 6, 4, 0, 1, tzinfo=UTC))
    await service.runtime.work.closing.run_once()  # nothing was promised in May
    assert await PgStatementStore(service.runtime.database).revisions(tenant, "2026-05") == []


async def test_a_withdrawn_exclusion_names_who_agreed_and_who_withdrew(service: Service) -> None:
    name = await a_march(service)
    url = f"/api/v1/tenants/{name}/maintenance"
    body = {
        "start": "2026-03-20T08:30:00Z", "duration": "20m", "reason": "upgrade", "approved_by": "김철수, customer",
    }  # fmt: skip
    _, added, _ = await service.ask("POST", url, body)
    assert (added["approved_by"], added["created_by"]) == ("김철수, customer", "admin")
    service.clock.set(datetime(2026, 4, 4, 0, 1, tzinfo=UTC))
    first = await report(service, name)
    assert (first["exclusions"][0]["approved_by"], first["withdrawn"]) == ("김철수, customer", [])
    await service.ask("DELETE", f"{url}/{added['id']}")
    second = await report(service, name)
    assert second["revision"] == 2
    [withdrawn] = second["withdrawn"]
    assert (withdrawn["withdrawn_by"], withdrawn["reason"]) == ("admin", "upgrade")
    assert second["restates"]["withdrawn"]["added"] == [withdrawn]
    _, page, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03&format=html")
    assert "Withdrawn exclusions" in page


async def test_the_job_closes_the_month_that_is_over(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 4, 0, 1, tzinfo=UTC))
    await service.runtime.work.closing.run_once()
    tenant = await service.runtime.tenants.get(name)
    stored = await PgStatementStore(service.runtime.database).revisions(tenant, "2026-03")
    assert [r.revision for r in stored] == [1]
    assert stored[0].closed_at > NOW


async def test_what_retention_takes_away_restates_nothing(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    closed = await report(service, name)
    assert (closed["verdict"], closed["revision"]) == ("breached", 1)
    service.clock.advance(timedelta(days=service.runtime.settings.sla_retention_days + 5).total_seconds())
    await service.runtime.work.keeping.retain()
    await service.runtime.work.closing.run_once()
    assert await report(service, name) == closed


async def test_new_terms_are_for_the_months_to_come(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    closed = await report(service, name)
    tenant = await service.runtime.tenants.get(name)
    await service.runtime.database.execute(
        "UPDATE tenants SET time_zone = 'Asia/Seoul', maintenance_accounting = 'count_as_up', updated_at = $2"
        " WHERE id = $1",
        tenant.key,
        service.clock.now(),
    )
    # A service with another table of credits.
    ours = service.runtime.statements
    new = StatementService(
        ours._availability, ours._maintenance, ours._statements, Terms("new", (CreditTier(None, 0.5),)),
        ours._kept, ours._workers,
    )  # fmt: skip
    tenant = await service.runtime.tenants.get(name)
    first = await new.report(tenant, "2026-03", service.clock.now())
    assert first is not None
    assert first.data() == {**closed, "restates": None}
    body = {"start": "2026-03-10T01:00:00Z", "duration": "1h", "reason": "approved by the customer"}
    await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body)
    restated = await new.report(tenant, "2026-03", service.clock.now())
    assert restated is not None
    second = restated.data()
    assert (second["revision"], second["contract"]) == (2, closed["contract"])
    assert second["eligible_minutes"] == closed["eligible_minutes"] - 60
    # The month that had begun goes on as it did, and ends where the next one begins.
    service.clock.set(datetime(2026, 5, 4, tzinfo=UTC))
    terms, periods = list[Any](), list[Any]()
    for month in ("2026-04", "2026-05"):
        following = await new.report(tenant, month, service.clock.now())
        assert following is not None
        terms.append(following.data()["contract"])
        periods.append(following.data()["period"])
    assert [(t["version"], t["time_zone"], t["credit_terms"]) for t in terms] == [
        ("1", "UTC", "new"),
        ("2", "Asia/Seoul", "new"),
    ]
    assert periods[0]["end"] == periods[1]["start"] == terms[1]["begins"] == "2026-05-01T00:00:00Z"
    assert periods[1]["end"] == "2026-05-31T15:00:00Z"


async def test_a_statement_says_of_which_time_history_was_imported_and_no_figure_changes(
    service: Service,
) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    before = await report(service, name)
    await service.runtime.database.execute(
        "INSERT INTO imported SELECT id, tstzmultirange(tstzrange('2026-02-20Z', '2026-03-02Z'),"
        " tstzrange('2026-04-02Z', '2026-04-03Z')) FROM tenants WHERE tenant_id = $1",
        name,
    )
    imported = [{"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}]
    assert await report(service, name) == {**before, "imported": imported}
    status, page, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03&format=html")
    assert status == 200
    assert "history was imported" in str(page)


async def test_a_deleted_tenant_is_owed_nothing_after_its_end(service: Service) -> None:
    name = await service.tenant(push_interval=3600)
    url = f"/api/v1/tenants/{name}"
    hours = [{"timestamp": (NOW + timedelta(hours=h)).isoformat(), "metrics": {"up": 1}} for h in range(24)]
    service.clock.advance(24 * 3600)
    await service.ask("POST", f"{url}/monitoring", hours)
    assert (await service.ask("DELETE", f"{url}?force=true"))[0] == 202
    service.clock.set(datetime(2026, 4, 10, tzinfo=UTC))
    march = await report(service, name)
    assert (march["eligible_minutes"], march["gap_minutes"], march["verdict"]) == (24 * 60, 0, "met")
    _, body, _ = await service.ask("GET", f"{url}/sla?windows=90d,1h")
    long, short = body["windows"]
    # What is told of it is as of its end.
    assert (long["eligible_minutes"], long["coverage"], short["eligible_minutes"]) == (24 * 60, 100, 60)


@pytest.mark.parametrize("reason", ["W" * 1000, "글" * 1000])
async def test_a_reason_longer_than_a_page_is_printed(service: Service, reason: str) -> None:
    name = await service.tenant(name="가" * 200)
    body = {"start": "2026-03-02T08:00:00Z", "duration": "1h", "reason": reason}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 201
    url = f"{service.url}/api/v1/tenants/{name}/sla/report?month=2026-03&format=pdf"
    async with service.session.get(url, headers=service.headers("admin")) as answer:
        assert answer.status == 200
        pdf = pypdf.PdfReader(io.BytesIO(await answer.read()))
    assert "".join(p.extract_text() for p in pdf.pages).count(reason[0]) >= 1000


async def test_who_was_blind_is_known_for_as_long_as_the_gap(service: Service) -> None:
    name = await service.tenant(push_interval=60)
    await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"up": 1}})
    database = service.runtime.database
    blind = NOW + timedelta(days=4), NOW + timedelta(days=4, hours=2, minutes=7)
    # Heartbeats of the push endpoint for forty days, but for two hours.
    await database.execute(
        "INSERT INTO pull_attempts (ts, source, outcome, duration_ms) SELECT ts, 'push', 'ok', 1 "
        "FROM generate_series($1::timestamptz, $1::timestamptz + INTERVAL '40 days', '20 s') AS ts "
        "WHERE NOT (ts >= $2 AND ts < $3)",
        NOW, *blind,
    )  # fmt: skip
    found = []
    for days in (6, 20, 34, 39):
        service.clock.set(NOW + timedelta(days=days))
        await service.runtime.work.keeping.retain()
        gaps = (await report(service, name))["gaps"]
        found.append([(g["reason"], g["start"], g["end"]) for g in gaps][:3])
    # Half a minute after the last beat it is us.
    hole = ("collector_down", "2026-03-06T09:00:10Z", "2026-03-06T11:07:00Z")
    assert [reasons[1] for reasons in found] == [hole] * 4
    assert all([r[0] for r in reasons] == ["not_pushed", "collector_down", "not_pushed"] for reasons in found)
    assert (await report(service, name))["revisions"] == 1
    rows = await database.fetchval(
        "SELECT count(*) FROM pull_attempts WHERE ts < $1", NOW + timedelta(days=20)
    )
    assert rows < 20 * 26


async def test_what_recurred_in_a_closed_month_restates_it(service: Service) -> None:
    name = await a_march(service)
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    await service.runtime.work.closing.run_once()
    service.clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    body = {
        "start": "2026-03-01T01:00:00Z", "duration": "2h", "rrule": "FREQ=DAILY;UNTIL=20260331",
        "reason": "nightly backups that nobody had entered",
    }  # fmt: skip
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", body))[0] == 201
    await service.runtime.work.closing.run_once()
    second = await report(service, name)
    assert (second["revision"], second["maintenance_minutes"], second["down_minutes"]) == (2, 31 * 120, 180)
    assert second["restates"]["down_minutes"] == {"old": 300, "new": 180}
    assert {e["entered_at"] for e in second["exclusions"]} == {"2026-06-01T00:00:00Z"}


async def test_the_job_looks_only_at_what_may_have_changed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, quiet = await a_march(service), await a_march(service)
    looked, restate = list[tuple[str, str]](), StatementService.restate

    async def noted(self: StatementService, tenant: Any, month: str, now: datetime) -> bool:
        looked.append((tenant.tenant_id, month))
        return await restate(self, tenant, month, now)

    monkeypatch.setattr(StatementService, "restate", noted)
    closing, store = service.runtime.work.closing, PgStatementStore(service.runtime.database)

    async def turn(own: StatementClosing = closing) -> list[tuple[str, str]]:
        looked.clear()
        service.clock.advance(3600)
        await own.run_once()
        return sorted(x for x in looked if x[0] in (name, quiet) and is_month(x[1]))

    both = sorted([(name, "2026-03"), (quiet, "2026-03")])
    service.clock.set(datetime(2026, 4, 2, tzinfo=UTC))
    # Not over for long enough.
    assert (await turn(), await turn()) == ([], [])
    service.clock.set(datetime(2026, 4, 5, tzinfo=UTC))
    assert (await turn(), await turn()) == (both, [])
    # Nor does another leader look at what is as it was.
    assert await turn(of_another_leader(closing)) == []
    tenant = await service.runtime.tenants.get(name)
    assert len(await store.revisions(tenant, "2026-03")) == 1
    late = {"timestamp": "2026-03-31T10:30:00Z", "metrics": {"up": 0}}
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", late)
    assert (status, body["rejected"]) == (202, [])
    await service.runtime.work.keeping.take_in_hand_made()
    assert await turn() == [(name, "2026-03")]
    assert len(await store.revisions(tenant, "2026-03")) == 2
    planned = {"start": "2026-03-21T08:30:00Z", "duration": "20m", "reason": "upgrade", "approved_by": "kim"}
    assert (await service.ask("POST", f"/api/v1/tenants/{quiet}/maintenance", planned))[0] == 201
    assert await turn() == [(quiet, "2026-03")]
    # An outage that is moved changes no total.
    moved = [
        {"timestamp": f"2026-03-31T{at}:00Z", "metrics": {"up": up}}
        for at, up in (("10:30", 1), ("08:30", 0))
    ]
    status, body, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", moved)
    assert (status, body["rejected"]) == (202, [])
    await service.runtime.work.keeping.take_in_hand_made()
    assert await turn() == []
    service.clock.advance(86_400)
    assert await turn() == [(name, "2026-03")]
    assert len(await store.revisions(tenant, "2026-03")) == 3
    service.clock.advance(86_400)
    assert await turn() == []
