"""Statements by e-mail over the whole service: whom they go to, when, and what is told of it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pypdf
import pytest

from tests.integration.api.conftest import Service
from tests.integration.api.test_statements import a_march
from tests.integration.post import Post, post_office
from tests.waiting import until

APRIL = datetime(2026, 4, 4, 0, 1, tzinfo=UTC)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with post_office() as post:
        yield post


@pytest.fixture
def service_settings(post: Post) -> dict[str, Any]:
    return {
        "smtp_host": "127.0.0.1",
        "smtp_port": post.port,
        "smtp_from": "sla@operator.example",
        "statement_operator": "운영사",
    }


async def recipients(service: Service, name: str, *addresses: str, **more: Any) -> dict[str, Any]:
    url = f"/api/v1/tenants/{name}/sla/report/recipients"
    status, body, _ = await service.ask("PUT", url, {"recipients": list(addresses), **more})
    assert status == 200, body
    found: dict[str, Any] = body
    return found


async def sendings(service: Service, name: str) -> list[dict[str, Any]]:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/sla/report/sendings")
    assert status == 200
    found: list[dict[str, Any]] = body["sendings"]
    return found


async def until_over(service: Service, name: str, count: int) -> list[dict[str, Any]]:
    """Until so many sendings are there and none of them is pending."""
    work = service.runtime.work
    assert work is not None
    assert work.statement_delivery is not None
    found: list[dict[str, Any]] = []

    async def over() -> bool:
        work.statement_delivery.worker.wake()
        found[:] = await sendings(service, name)
        return len(found) >= count and all(s["status"] != "pending" for s in found)

    await until(over, f"{count} sendings of {name} are over")
    return found


def pdf_words(message: EmailMessage) -> str:
    [part] = message.iter_attachments()
    assert part.get_content_type() == "application/pdf"
    return "\n".join(p.extract_text() for p in pypdf.PdfReader(io.BytesIO(part.get_content())).pages)


async def test_a_month_that_is_closed_goes_to_everybody_once_and_corrections_by_choice(
    service: Service, post: Post
) -> None:
    name = await a_march(service, name="글로벌 콜센터", language="ko")
    body = await recipients(service, name, "a@customer.example", "b@customer.example")
    assert (body["recipients"], body["restatements"], body["hints"]) == (
        ["a@customer.example", "b@customer.example"], False, [],
    )  # fmt: skip
    assert (body["changed_by"], await sendings(service, name)) == ("admin", [])
    service.clock.set(APRIL)
    closing = service.runtime.work.closing
    for _ in range(2):
        await closing.run_once()
    sent = await until_over(service, name, 2)
    assert {(s["recipient"], s["month"], s["revision"], s["status"], s["repeats"]) for s in sent} == {
        (f"{who}@customer.example", "2026-03", 1, "sent", 0) for who in "ab"
    }
    assert {who for who, _ in post.taken} == {"a@customer.example", "b@customer.example"}
    for message in post.messages():
        assert message["Message-ID"] in {s["message_id"] for s in sent}
        assert (message["Subject"], message["From"]) == (
            "SLA 보고서 2026-03 – 글로벌 콜센터", "운영사 <sla@operator.example>",
        )  # fmt: skip
        assert message["Date"].datetime == APRIL
        text = message.get_body(("plain",))
        assert text is not None
        assert "SLA를 충족하지 못했습니다." in text.get_content()
        for told in ("SLA를 충족하지 못했습니다.", "99.327 %", "운영사"):
            assert told in pdf_words(message)
    # Late maintenance: a correction that nobody asked for, then one that somebody did.
    planned = {"start": "2026-03-10T01:00:00Z", "duration": "1h", "reason": "approved by the customer"}
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", planned))[0] == 201
    await closing.run_once()
    assert len(await until_over(service, name, 2)) == 2
    await recipients(service, name, "a@customer.example", restatements=True)
    planned["start"] = "2026-03-10T02:00:00Z"
    assert (await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", planned))[0] == 201
    await closing.run_once()
    [third, *_] = await until_over(service, name, 3)
    assert (third["revision"], third["recipient"]) == (3, "a@customer.example")
    assert "제3판" in post.messages()[-1]["Subject"]
    assert len(post.taken) == 3


async def test_who_reads_the_statement_first_sends_it_as_well(service: Service, post: Post) -> None:
    name = await a_march(service)
    await recipients(service, name, "a@customer.example")
    service.clock.set(APRIL)
    # A request closes the month; the job finds it closed.
    assert (await service.ask("GET", f"/api/v1/tenants/{name}/sla/report?month=2026-03"))[1]["revision"] == 1
    await service.runtime.work.closing.run_once()
    [sent] = await until_over(service, name, 1)
    assert (sent["status"], len(post.taken)) == ("sent", 1)
    assert "The SLA was not met." in pdf_words(post.messages()[0])


async def test_what_was_refused_is_told_and_can_be_sent_again_under_its_id(
    service: Service, post: Post
) -> None:
    name = await a_march(service)
    await recipients(service, name, "a@customer.example")
    post.answers = ["554 5.7.1 no thanks"]
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    [parked] = await until_over(service, name, 1)
    assert (parked["status"], parked["last_reason"], parked["last_status"]) == ("parked", "rejected", 554)
    assert (parked["outcome_unknown"], post.taken) == (False, [])
    url = f"/api/v1/tenants/{name}/sla/report/sendings/{parked['sending_id']}/resend"
    status, again, _ = await service.ask("POST", url)
    assert (status, again["status"], again["resent_by"]) == (202, "pending", "admin")
    [sent] = await until_over(service, name, 1)
    assert (sent["status"], sent["message_id"], sent["repeats"]) == ("sent", parked["message_id"], 0)
    assert [m["Message-ID"] for m in post.messages()] == [parked["message_id"]]
    assert (await service.ask("POST", url))[0] == 409
    assert (await service.ask("POST", url.replace(str(parked["sending_id"]), "999999")))[0] == 404


async def test_a_server_that_is_busy_is_asked_again(service: Service, post: Post) -> None:
    name = await a_march(service)
    await recipients(service, name, "a@customer.example")
    post.answers = ["451 later", "421 closing"]
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    for tries in (1, 2):

        async def tried(wanted: int = tries) -> bool:
            service.runtime.work.statement_delivery.worker.wake()
            return [s["attempts"] for s in await sendings(service, name)] == [wanted]

        await until(tried, f"{tries} tries")
        service.clock.advance(3600)
    [sent] = await until_over(service, name, 1)
    assert (sent["status"], sent["attempts"], sent["repeats"], len(post.taken)) == ("sent", 3, 0, 1)


async def test_recipients_are_a_tenants_own_and_bounded(service: Service) -> None:
    name = await service.tenant()
    url = f"/api/v1/tenants/{name}/sla/report/recipients"
    for wrong in (
        {"recipients": []}, {"recipients": [f"a{n}@x.example" for n in range(21)]}, {"recipients": ["nobody"]},
        {"recipients": ["a@x.example\nBcc: b@x.example"]}, {"recipients": ["a@x.example", "A@x.example"]},
        {"recipients": ["a@x.example"], "restatements": 1}, {"recipients": ["a@x.example"], "periods": ["week"]},
        {"recipients": ["a@x.example"], "more": 1}, [], None,
    ):  # fmt: skip
        assert (await service.ask("PUT", url, wrong))[0] in (400, 422), wrong
    assert (await service.ask("GET", url))[1]["recipients"] == []
    assert (await service.ask("DELETE", url))[0] == 404
    await recipients(service, name, "a@x.example")
    for method, body in (("PUT", {"recipients": ["e@vil.example"]}), ("GET", None), ("DELETE", None)):
        assert (await service.ask(method, url, body, who="outsider"))[0] == 404
        if method != "GET":
            assert (await service.ask(method, url, body, who="viewer"))[0] == 403
    assert (await service.ask("GET", url, who="viewer"))[1]["recipients"] == ["a@x.example"]
    assert (await service.ask("DELETE", url))[0] == 204
    assert (await service.ask("GET", url))[1]["recipients"] == []


async def test_quarters_and_years_are_sent_to_who_wants_them(service: Service, post: Post) -> None:
    name = await a_march(service)
    body = await recipients(service, name, "a@customer.example", periods=["quarter"])
    assert (body["periods"], body["recipients"]) == (["quarter"], ["a@customer.example"])
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    [sent] = await until_over(service, name, 1)
    assert (sent["month"], sent["status"]) == ("2026-Q1", "sent")
    [message] = post.messages()
    assert message["Subject"] == f"SLA statement 2026-Q1 – {name}"
    assert "Per month" in pdf_words(message)
    rows = await service.runtime.database.fetch(
        "SELECT action, after FROM audit_log WHERE action LIKE 'statement_recipients.%' AND subject = $1",
        name,
    )
    assert [(r["action"], r["after"]["periods"]) for r in rows] == [("statement_recipients.set", ["quarter"])]


async def test_the_last_month_of_a_deleted_tenant_is_sent(service: Service, post: Post) -> None:
    name = await a_march(service)
    await recipients(service, name, "a@customer.example")
    assert (await service.ask("DELETE", f"/api/v1/tenants/{name}"))[0] == 202
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    [sent] = await until_over(service, name, 1)
    assert (sent["status"], len(post.taken)) == ("sent", 1)
