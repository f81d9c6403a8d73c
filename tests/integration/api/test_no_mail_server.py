"""An installation without a mail server takes what it cannot send, and says so."""

from __future__ import annotations

from typing import Any

from tests.integration.api.conftest import Service
from tests.integration.api.test_statement_mail import APRIL, recipients, sendings
from tests.integration.api.test_statements import a_march
from tests.waiting import until

# As the source documents have it.
RULE = {
    "alert_name": "high_cpu_usage",
    "condition": "cpu_usage > 80",
    "duration": "5m",
    "actions": [
        {"type": "webhook", "url": "https://your-webhook.com/alerts", "method": "POST"},
        {"type": "email", "recipients": ["admin@company.com"]},
    ],
}


async def test_statements_wait_for_a_mail_server(service: Service) -> None:
    name = await a_march(service)
    body = await recipients(service, name, "a@customer.example")
    assert [h["code"] for h in body["hints"]] == ["NO_MAIL_SERVER"]
    service.clock.set(APRIL)
    await service.runtime.work.closing.run_once()
    assert service.runtime.work.statement_delivery is None
    [waiting] = await sendings(service, name)
    assert (waiting["status"], waiting["attempts"]) == ("pending", 0)


async def test_the_source_documents_rule_is_taken_and_its_mail_is_told_to_be_undelivered(
    service: Service,
) -> None:
    name = await service.tenant()
    url = f"/api/v1/tenants/{name}/alerts"
    status, rule, _ = await service.ask("POST", url, RULE)
    assert (status, len(rule["actions"])) == (201, 2)
    assert [(h["code"], h["actions"]) for h in rule["hints"]] == [("NO_MAIL_SERVER", [1])]
    assert (await service.ask("GET", f"{url}/{rule['rule_id']}"))[1]["hints"] == rule["hints"]
    work = service.runtime.work
    for _ in range(8):
        service.clock.advance(60)
        await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", {"metrics": {"cpu_usage": 95}})
        await work.evaluate_alerts()
    found: list[dict[str, Any]] = []

    async def parked() -> bool:
        work.delivery.wake()
        found[:] = (await service.ask("GET", f"{url}/deliveries"))[1]["deliveries"]
        return [d["status"] for d in found if d["action"]["type"] == "email"] == ["parked"]

    await until(parked, "the mail is parked")
    [mail] = [d for d in found if d["action"]["type"] == "email"]
    assert (mail["last_reason"], mail["rule_id"]) == ("no_notifier", rule["rule_id"])
    # The webhook is another matter, and is tried.
    assert [d["action"]["url"] for d in found if d["action"]["type"] == "webhook"] == [
        RULE["actions"][0]["url"]
    ]  # type: ignore[index]
