"""A process that is killed with -9 while a rule flaps: whoever comes after it tells no more than it would have."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.api.test_flap_control import Inbox, holds, inbox
from tests.integration.serving import Serving, serving
from tests.waiting import until

__all__ = ["inbox"]
SETTINGS = {
    "ECPMON_WEBHOOK_ALLOW_LOOPBACK": "true",
    # Longer than the next one takes to start and to lead.
    "ECPMON_FLAP_CALM": "30",
}


async def push(found: Serving, cpu: float) -> None:
    url = f"{found.url}/api/v1/tenants/acme/monitoring"
    async with found.session.post(url, json={"metrics": {"cpu_usage": cpu}}) as answer:
        assert answer.status == 202, await answer.text()


async def create(found: Serving, path: str, body: object) -> None:
    async with found.session.post(found.url + path, json=body) as answer:
        assert answer.status == 201, await answer.text()


async def state(found: Serving) -> str:
    _, body, _ = await found.get("/api/v1/tenants/acme/alerts")
    [rule] = [r for r in body["alerts"] if r["alert_name"] == "hot"]
    return str(rule["state"])


async def alternate(found: Serving) -> None:
    """Each push is seen by the rule before the next one comes."""
    for cpu, expected in ((95, "firing"), (10, "inactive")):
        await push(found, cpu)
        await until(lambda expected=expected: is_in(found, expected), f"it is {expected}")


async def is_in(found: Serving, expected: str) -> bool:
    return await state(found) == expected


async def test_a_kill_keeps_what_flaps_flapping_and_its_end_is_told_once(
    make_migrated: Callable[[], str], free_port: Callable[[], int], inbox: Inbox
) -> None:
    dsn = make_migrated()
    async with serving(dsn, free_port(), **SETTINGS) as found:
        body = {"tenant_id": "acme", "name": "acme", "service_requirements": {"chatbot": 10}}
        await create(found, "/api/v1/tenants/", body)
        hook = {"type": "webhook", "url": inbox.url}
        rule = {"alert_name": "hot", "condition": "cpu_usage > 80", "actions": [hook]}
        await create(found, "/api/v1/tenants/acme/alerts", rule)
        for _ in range(4):
            await alternate(found)
        await until(lambda: holds(("firing", "true", None) in inbox.told), "it flaps")
        found.process.kill()
        await found.process.wait()
    async with serving(dsn, free_port(), **SETTINGS) as found:
        await alternate(found)
        await until(lambda: holds(inbox.told[-1][2] is not None), "it has calmed")
    status, flapping, suppressed = inbox.told[-1]
    assert (status, flapping) == ("resolved", None)
    # Had the second one forgotten, it would have told of its firing; and of fewer that were not told.
    assert suppressed == "5"
    told = {(a["status"], a["startsAt"], a["annotations"]["reason"]) for a in inbox.alerts}
    assert len(told) == 6
