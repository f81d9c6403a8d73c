"""What needs somebody else's approval, or was entered too late, does not count until it has it, and is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.api.conftest import NOW, Service
from tests.integration.api.test_maintenance import broken_hour, hour

WINDOW = {"start": "2026-03-02T08:20:00Z", "duration": "20m", "reason": "upgrade of the switch"}


@pytest.fixture
def service_settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    return getattr(request, "param", {})


NEEDED = pytest.mark.parametrize("service_settings", [{"exclusions_need_approval": True}], indirect=True)
NOTICE = pytest.mark.parametrize("service_settings", [{"exclusion_notice_hours": 72}], indirect=True)


async def people(service: Service, name: str) -> None:
    await service.token("clerk", ["operator"], [name])
    await service.token("owner", ["tenant_admin"], [name])
    await service.token("second owner", ["tenant_admin"], [name])


@NEEDED
async def test_it_counts_once_somebody_else_has_approved_it(service: Service) -> None:
    name = await broken_hour(service)
    await people(service, name)
    url = f"/api/v1/tenants/{name}/maintenance"
    # A name that somebody types approves nothing.
    status, added, _ = await service.ask("POST", url, {**WINDOW, "approved_by": "the boss"}, who="owner")
    assert (status, added["counts"], added["lacks"], added["approved_by"]) == (
        201,
        False,
        "needs_approval",
        None,
    )
    assert (added["hint"]["code"], added["named_approver"]) == ("NEEDS_APPROVAL", "the boss")
    assert (await hour(service, name))["maintenance_minutes"] == 0
    one = f"{url}/{added['id']}/approve"
    for who, expected in (("clerk", "FORBIDDEN"), ("owner", "FORBIDDEN"), ("outsider", "TENANT_NOT_FOUND")):
        status, answer, _ = await service.ask("POST", one, who=who)
        assert answer["error"]["code"] == expected, who
    assert (await hour(service, name))["down_minutes"] == 20
    service.clock.advance(60)
    status, approved, _ = await service.ask("POST", one, who="second owner")
    assert (status, approved["counts"], approved["approved_by"]) == (200, True, "second owner")
    assert (approved["approved_at"], approved["hint"]) == ("2026-03-02T09:01:00Z", None)
    window = await hour(service, name)
    assert (window["maintenance_minutes"], window["down_minutes"]) == (20, 0)
    assert (await service.ask("POST", one, who="second owner"))[0] == 409
    _, listed, _ = await service.ask("GET", url)
    assert [m["approved_by"] for m in listed["maintenance"]] == ["second owner"]
    rows = await service.runtime.database.fetch(
        "SELECT action, actor, after FROM audit_log WHERE subject = $1 ORDER BY id", added["id"]
    )
    assert [(r["action"], r["actor"]) for r in rows] == [
        ("maintenance.added", "owner"), ("maintenance.approved", "second owner"),
    ]  # fmt: skip


@NEEDED
async def test_two_tokens_of_one_name_are_one_person(service: Service) -> None:
    name = await broken_hour(service)
    await service.token("kim", ["tenant_admin"], [name])
    url = f"/api/v1/tenants/{name}/maintenance"
    _, added, _ = await service.ask("POST", url, WINDOW, who="kim")
    await service.token("kim", ["admin"], [name])
    assert (await service.ask("POST", f"{url}/{added['id']}/approve", who="kim"))[0] == 403


@NEEDED
async def test_a_statement_shows_what_does_not_count_and_counts_it_by_category_afterwards(
    service: Service,
) -> None:
    name = await broken_hour(service)
    await people(service, name)
    url = f"/api/v1/tenants/{name}"
    window = {**WINDOW, "category": "force_majeure"}
    _, added, _ = await service.ask("POST", f"{url}/maintenance", window, who="clerk")
    _, before, _ = await service.ask("GET", f"{url}/sla/report?month=2026-03")
    assert (before["down_minutes"], before["exclusions"], before["exclusion_minutes"]) == (20, [], {})
    [shown] = before["uncounted_exclusions"]
    assert (shown["lacks"], shown["category"], shown["reason"]) == (
        "needs_approval", "force_majeure", "upgrade of the switch",
    )  # fmt: skip
    _, page, _ = await service.ask("GET", f"{url}/sla/report?month=2026-03&format=html")
    assert "Exclusions that do not count" in page
    await service.ask("POST", f"{url}/maintenance/{added['id']}/approve", who="owner")
    _, after, _ = await service.ask("GET", f"{url}/sla/report?month=2026-03")
    assert (after["down_minutes"], after["uncounted_exclusions"]) == (0, [])
    assert after["exclusion_minutes"] == {"force_majeure": 20}
    assert after["exclusions"][0]["approved_by"] == "owner"
    assert after["digest"] != before["digest"]


@NOTICE
async def test_what_is_entered_too_late_does_not_count_unless_it_is_approved(service: Service) -> None:
    name = await broken_hour(service)
    await people(service, name)
    url = f"/api/v1/tenants/{name}/maintenance"
    _, late, _ = await service.ask("POST", url, WINDOW, who="clerk")
    assert (late["counts"], late["lacks"], late["notice_hours"]) == (False, "late_notice", 72)
    assert "72 hours" in late["hint"]["message"]
    assert (await hour(service, name))["maintenance_minutes"] == 0
    in_time = {**WINDOW, "start": (NOW + timedelta(hours=72)).isoformat()}
    _, early, _ = await service.ask("POST", url, in_time, who="clerk")
    assert (early["counts"], early["lacks"], early["approved_by"]) == (True, None, "clerk")
    assert (await service.ask("POST", f"{url}/{early['id']}/approve", who="owner"))[0] == 409
    assert (await service.ask("POST", f"{url}/{late['id']}/approve", who="owner"))[0] == 200
    assert (await hour(service, name))["maintenance_minutes"] == 20


@NOTICE
async def test_of_a_recurring_window_each_occurrence_has_its_notice(service: Service) -> None:
    name = await service.tenant()
    daily = {**WINDOW, "start": "2026-03-03T08:00:00Z", "rrule": "FREQ=DAILY"}
    _, added, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", daily)
    assert (added["counts"], added["counts_from"]) == (False, "2026-03-05T09:00:00Z")
    assert [o["counts"] for o in added["next_occurrences"][:5]] == [False, False, False, True, True]


@NOTICE
async def test_what_there_was_before_the_rule_counts_as_it_did(service: Service) -> None:
    name = await broken_hour(service)
    tenant = await service.runtime.tenants.get(name)
    await service.runtime.database.execute(
        "INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, time_zone, reason, created_by,"
        " created_at)"
        " VALUES (gen_random_uuid(), $1, '2026-03-02T08:20:00Z', '20m', 'UTC', 'x', 'kim', '2026-03-02T08:59:00Z')",
        tenant.key,
    )
    assert (await hour(service, name))["maintenance_minutes"] == 20
    _, listed, _ = await service.ask("GET", f"/api/v1/tenants/{name}/maintenance")
    [old] = listed["maintenance"]
    assert (old["counts"], old["category"], old["approved_by"]) == (True, "maintenance", "kim")


@NEEDED
async def test_a_request_for_many_is_approved_at_once_by_somebody_else(service: Service) -> None:
    names = [await broken_hour(service) for _ in range(2)]
    await service.token("of both", ["operator"], names)
    await service.token("boss of one", ["tenant_admin"], names[:1])
    body = {**WINDOW, "key": "both", "tenants": {"all": True}}
    status, laid, _ = await service.ask("POST", "/api/v1/exclusions", body, who="of both")
    assert (status, laid["laid"], laid["window"]["counts"]) == (201, 2, False)
    one = f"/api/v1/exclusions/{laid['request_id']}/approve"
    status, answer, _ = await service.ask("POST", one, who="boss of one")
    assert (status, answer["tenants"]) == (200, names[:1])
    assert [(await hour(service, name))["maintenance_minutes"] for name in names] == [20, 0]
    status, answer, _ = await service.ask("POST", one)
    assert (status, answer["tenants"]) == (200, names[1:])
    assert [(await hour(service, name))["maintenance_minutes"] for name in names] == [20, 20]


async def test_the_rules_of_the_contract_that_is_in_force_come_before_the_settings(service: Service) -> None:
    names = [await broken_hour(service) for _ in range(2)]
    strict, usual = names
    # Not on the day of the creation: with the next month.
    service.clock.advance(86_400)
    change = {"exclusion_rules": {"notice_hours": 48}}
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{strict}", change)
    assert (status, answer["exclusion_rules"]) == (200, {"needs_approval": False, "notice_hours": 48})
    assert answer["contract"] == {"version": 2, "valid_from": "2026-04-01T00:00:00Z"}
    _, contract, _ = await service.ask("GET", f"/api/v1/tenants/{strict}/contract")
    assert (contract["in_force"]["exclusion_rules"], contract["next"]["exclusion_rules"]) == (
        None,
        answer["exclusion_rules"],
    )

    async def entered(name: str, hours: float) -> dict[str, Any]:
        at = service.clock.now() + timedelta(hours=hours)
        window = {"start": at.isoformat(), "duration": "20m", "reason": "upgrade of the switch"}
        status, found, _ = await service.ask("POST", f"/api/v1/tenants/{name}/maintenance", window)
        assert status == 201, found
        return dict(found)

    assert (await entered(strict, 1))["counts"], "its month is judged by the contract of before"
    service.clock.set(datetime(2026, 4, 3, tzinfo=UTC))
    late, early, other = await entered(strict, 47), await entered(strict, 48), await entered(usual, 1)
    assert [(w["counts"], w["notice_hours"]) for w in (late, early, other)] == [
        (False, 48), (True, 48), (True, None),
    ]  # fmt: skip
    # One request for both: each by its own contract, and approved where that is needed.
    at = (service.clock.now() + timedelta(hours=2)).isoformat()
    body = {**WINDOW, "start": at, "key": "own-rules", "tenants": {"tenant_ids": names}}
    status, laid, _ = await service.ask("POST", "/api/v1/exclusions", body)
    assert (status, laid["laid"]) == (201, 2)
    found = {}
    for name in names:
        _, listed, _ = await service.ask("GET", f"/api/v1/tenants/{name}/maintenance")
        [found[name]] = [w["counts"] for w in listed["maintenance"] if w["id"] in str(laid["tenants"])]
    assert found == {strict: False, usual: True}
    await service.token("another boss", ["tenant_admin"], names)
    one = f"/api/v1/exclusions/{laid['request_id']}"
    status, answer, _ = await service.ask("POST", f"{one}/approve", who="another boss")
    assert (status, answer["tenants"]) == (200, [strict])
    assert (await service.ask("DELETE", one))[1]["removed"] == 2
    rows = await service.runtime.database.fetch(
        "SELECT before FROM audit_log WHERE action = 'maintenance.removed' AND subject = ANY($1)",
        [row["maintenance_id"] for row in laid["tenants"]],
    )
    assert sorted(r["before"]["notice"] is None for r in rows) == [False, True]


@pytest.mark.parametrize(
    "rules",
    [
        {"notice_hours": -1},
        {"notice_hours": 8_761},
        {"notice_hours": "2"},
        {"needs_approval": 1},
        {"x": 1},
        [],
    ],
)
async def test_rules_that_cannot_be_meant_are_refused(service: Service, rules: Any) -> None:
    name = await service.tenant()
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}", {"exclusion_rules": rules})
    assert (status, answer["error"]["code"]) == (422, "VALIDATION_FAILED")
    [field] = [f["field"] for f in answer["error"]["details"]["fields"]]
    assert field.startswith("exclusion_rules")
