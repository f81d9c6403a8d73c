"""Sending again what was given up: who may, what is recorded, what is refused."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from ecpmon.model.alerts import AlertRule, RuleKind, Severity, WebhookAction
from tests.integration.api.conftest import NOW, Service
from tests.waiting import PATIENCE


async def parked(service: Service) -> tuple[str, dict[str, Any]]:
    """A tenant and its one notification, which our own guard has refused to send."""
    tenant_id = await service.tenant()
    rule = AlertRule(
        str(uuid.uuid4()), tenant_id, "hot", RuleKind.THRESHOLD, "cpu_usage > 80", 0, Severity.PAGE,
        (WebhookAction("http://127.0.0.1:1/", headers=(("X-Api-Key", "top-secret"),)),),
    )  # fmt: skip
    await service.runtime.alerts.create(rule, NOW)
    await service.ask("POST", f"/api/v1/tenants/{tenant_id}/monitoring", {"metrics": {"cpu_usage": 90}})
    return tenant_id, await ended(service, tenant_id)


async def ended(service: Service, tenant_id: str) -> dict[str, Any]:
    """The newest delivery once it is no longer pending."""
    async with asyncio.timeout(PATIENCE):
        while True:
            _, answer, _ = await service.ask("GET", f"/api/v1/tenants/{tenant_id}/alerts/deliveries")
            if answer["deliveries"] and answer["deliveries"][0]["status"] != "pending":
                return dict(answer["deliveries"][0])
            await asyncio.sleep(0.02)


async def resend(
    service: Service, tenant_id: str, number: object, body: Any = None, *, who: str = "admin"
) -> tuple[int, Any]:
    path = f"/api/v1/tenants/{tenant_id}/alerts/deliveries/{number}/resend"
    status, answer, _ = await service.ask("POST", path, body, who=who)
    return status, answer


async def test_it_is_pending_anew_under_its_old_id_and_who_asked_is_on_record(service: Service) -> None:
    tenant_id, before = await parked(service)
    assert (before["status"], before["last_reason"], before["resends"]) == ("parked", "refused_target", [])
    service.clock.advance(3600)
    status, answer = await resend(
        service, tenant_id, before["notification_id"], {"note": "it is allowed now"}
    )
    assert (status, answer["status"], answer["attempts"]) == (202, "pending", 0)
    assert answer["webhook_id"] == before["webhook_id"]
    assert answer["action"]["headers"] == {"X-Api-Key": "***"}
    after = await ended(service, tenant_id)
    assert (after["status"], after["webhook_id"]) == ("parked", before["webhook_id"])
    [record] = after["resends"]
    assert record == {
        "at": "2026-03-02T10:00:00Z", "by": "admin", "note": "it is allowed now", "attempts": 1, "last_status": None,
        "last_reason": "refused_target", "last_answer": before["last_answer"],
    }  # fmt: skip
    await resend(service, tenant_id, before["notification_id"])
    assert [r["note"] for r in (await ended(service, tenant_id))["resends"]] == ["it is allowed now", None]


async def test_only_what_was_given_up_is_sent_again(service: Service) -> None:
    tenant_id, delivery = await parked(service)
    number = delivery["notification_id"]
    for status in ("sent", "pending"):
        finished = "finished_at" if status == "sent" else "NULL"
        await service.runtime.database.execute(
            f"UPDATE notifications SET status = $2, finished_at = {finished},"
            " next_attempt_at = created_at + interval '1 day' WHERE notification_id = $1",
            number,
            status,
        )
        code, answer = await resend(service, tenant_id, number)
        assert (code, answer["error"]["code"], answer["error"]["details"]["status"]) == (
            409,
            "CONFLICT",
            status,
        )


async def test_one_at_a_time_is_pending_however_many_ask(service: Service) -> None:
    tenant_id, delivery = await parked(service)
    number = delivery["notification_id"]
    await service.runtime.work.delivery.stop()
    got = [code for code, _ in await asyncio.gather(*(resend(service, tenant_id, number) for _ in range(5)))]
    assert sorted(got) == [202, 409, 409, 409, 409]


async def test_the_worker_that_delivers_hears_of_it_whoever_was_asked(service: Service) -> None:
    tenant_id, delivery = await parked(service)
    database, tenant = service.runtime.database, await service.runtime.tenants.get(tenant_id)
    last = await database.fetchval("SELECT max(seq) FROM bus")
    await resend(service, tenant_id, delivery["notification_id"])
    told = await database.fetch("SELECT kind, origin, tenants FROM bus WHERE seq > $1 ORDER BY seq", last)
    # Whoever leads is woken by these (`WorkFeed`); its own look at the queue comes a second later.
    assert ("alert", "", [tenant.key]) in [tuple(row) for row in told]


async def test_resends_of_one_notification_are_bounded(service: Service) -> None:
    tenant_id, delivery = await parked(service)
    tenant = await service.runtime.tenants.get(tenant_id)
    number = delivery["notification_id"]
    await service.runtime.database.execute(
        "INSERT INTO notification_resends (tenant, notification_id, resent_at, resent_by, attempts)"
        " SELECT $1, $2, $3, 'a loop', 1 FROM generate_series(1, 50)",
        tenant.key, number, NOW,
    )  # fmt: skip
    code, answer = await resend(service, tenant_id, number)
    assert (code, "change its rule" in answer["error"]["message"]) == (409, True)


async def test_anothers_delivery_does_not_exist(service: Service) -> None:
    mine, delivery = await parked(service)
    other = await service.tenant()
    number = delivery["notification_id"]
    for who, tenant_id in (("outsider", mine), ("outsider", other)):
        code, answer = await resend(service, tenant_id, number, who=who)
        assert (code, answer["error"]["code"]) == (404, "TENANT_NOT_FOUND")
    # Its number under another tenant's name is the number of nothing.
    code, answer = await resend(service, other, number)
    assert (code, answer["error"]["code"]) == (404, "NOT_FOUND")
    assert (await ended(service, mine))["resends"] == []


@pytest.mark.parametrize("number", ["0", "999999999999999999", "9999999999999999999", "x", "-1", "1.5", "١"])
async def test_numbers_of_nothing_are_not_found(service: Service, number: str) -> None:
    code, answer = await resend(service, await service.tenant(), number)
    assert (code, answer["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("body", [{"note": 5}, {"note": "x" * 501}, {"why": "x"}])
async def test_a_note_is_a_short_text(service: Service, body: Any) -> None:
    code, _ = await resend(service, await service.tenant(), 1, body)
    assert code == 422


async def test_a_viewer_may_not_send_again(service: Service) -> None:
    tenant_id, delivery = await parked(service)
    code, _ = await resend(service, tenant_id, delivery["notification_id"], {}, who="viewer")
    assert code == 403
