"""One window for many tenants: chosen among the caller's own, laid once, and nobody else's is touched or told of."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from ecpmon.api import exclusions
from ecpmon.ports.tokens import Issued
from tests.integration.api.conftest import Service

URL = "/api/v1/exclusions"
WINDOW = {"start": "2026-03-03T08:00:00Z", "duration": "1h", "reason": "moving the data centre"}


def asked(key: str, selector: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**WINDOW, "key": key, "tenants": selector, **more}


async def windows(service: Service, name: str, who: str = "admin") -> list[dict[str, Any]]:
    status, body, _ = await service.ask("GET", f"/api/v1/tenants/{name}/maintenance", who=who)
    assert status == 200
    found: list[dict[str, Any]] = body["maintenance"]
    return found


async def three(service: Service, prefix: str, **more: Any) -> list[str]:
    return [await service.tenant(tenant_id=f"{prefix}-{n}", **more) for n in range(3)]


async def keeper(service: Service, who: str, names: list[str], *roles: str) -> Issued:
    return await service.token(who, list(roles) or ["operator"], names)


async def test_one_request_lays_one_window_on_each_and_again_does_nothing(service: Service) -> None:
    names = await three(service, "once")
    body = asked("move-1", {"name": "once-*"}, category="customer", title="Move")
    status, answer, _ = await service.ask("POST", URL, body)
    assert status == 201, answer
    assert (answer["laid"], answer["already"], answer["refused"]) == (3, 0, 0)
    assert {row["tenant_id"]: row["outcome"] for row in answer["tenants"]} == dict.fromkeys(names, "laid")
    by_name = {row["tenant_id"]: row["maintenance_id"] for row in answer["tenants"]}
    for name in names:
        [window] = await windows(service, name)
        assert (window["id"], window["category"], window["title"]) == (by_name[name], "customer", "Move")
        assert (window["start"], window["end"]) == ("2026-03-03T08:00:00Z", "2026-03-03T09:00:00Z")
    status, again, _ = await service.ask("POST", URL, body)
    assert (status, again["laid"], again["already"]) == (200, 0, 3)
    assert {row["tenant_id"]: row["maintenance_id"] for row in again["tenants"]} == by_name
    rows = await service.runtime.database.fetch(
        "SELECT tenant, subject, actor FROM audit_log WHERE action = 'maintenance.added' AND subject = ANY($1)",
        list(by_name.values()),
    )
    assert len(rows) == len({r["tenant"] for r in rows}) == 3
    assert {r["actor"] for r in rows} == {"admin"}


async def test_a_key_is_one_request(service: Service) -> None:
    await three(service, "key")
    assert (await service.ask("POST", URL, asked("move-2", {"name": "key-*"})))[0] == 201
    other = asked("move-2", {"name": "key-*"}, reason="something else")
    status, answer, _ = await service.ask("POST", URL, other)
    assert (status, answer["error"]["code"]) == (409, "CONFLICT")
    for nobody in ({"tenant_ids": ["nope"]}, {"name": "nobody-*"}):
        status, answer, _ = await service.ask("POST", URL, asked("move-2", nobody))
        assert (status, answer["error"]["code"]) == (409, "CONFLICT"), nobody
    # Of each token its own.
    await keeper(service, "namesake", ["key-0"])
    status, answer, _ = await service.ask("POST", URL, other, who="namesake")
    assert (status, answer["laid"]) == (201, 1)


async def test_a_tenant_that_came_later_is_not_of_the_request(service: Service) -> None:
    await three(service, "later")
    body = asked("move-3", {"name": "later-*"})
    await service.ask("POST", URL, body)
    newcomer = await service.tenant(tenant_id="later-9")
    _, again, _ = await service.ask("POST", URL, body)
    assert (again["laid"], again["already"]) == (0, 3)
    assert await windows(service, newcomer) == []


async def test_what_was_begun_is_completed_by_the_same_key(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = await three(service, "half")
    monkeypatch.setattr(exclusions, "AT_ONCE", 1)
    store, calls = service.runtime.exclusions, list[int]()
    lay = store.lay

    async def breaks(tenants: Any, *rest: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise ConnectionError("gone")
        return await lay(tenants, *rest)

    monkeypatch.setattr(store, "lay", breaks)
    body = asked("move-4", {"name": "half-*"})
    assert (await service.ask("POST", URL, body))[0] == 500
    assert [len(await windows(service, name)) for name in names] == [1, 1, 0]
    status, answer, _ = await service.ask("POST", URL, body)
    assert (status, answer["laid"], answer["already"]) == (201, 1, 2)
    assert [len(await windows(service, name)) for name in names] == [1, 1, 1]


async def test_labels_choose_those_that_have_all_of_them(service: Service) -> None:
    labels = {
        "label-0": {"site": "busan"},
        "label-1": {"site": "busan", "team": "결제"},
        "label-2": {"site": "seoul"},
    }
    for name, own in labels.items():
        await service.tenant(tenant_id=name, labels=own)

    async def chosen(**selector: Any) -> list[str]:
        body = asked("by-label", selector, dry_run=True)
        _, answer, _ = await service.ask("POST", URL, body)
        return [row["tenant_id"] for row in answer["tenants"]]

    assert await chosen(labels={"site": "busan"}) == ["label-0", "label-1"]
    assert await chosen(labels={"site": "busan", "team": "결제"}) == ["label-1"]
    assert await chosen(labels={"site": "busan"}, name="*-0") == ["label-0"]
    assert await chosen(labels={"site": "bus"}) == []
    _, answer, _ = await service.ask("POST", URL, asked("by-label", {"labels": {"site": "busan"}}))
    assert (answer["laid"], [r["tenant_id"] for r in answer["tenants"]]) == (2, ["label-0", "label-1"])
    # Whom it is for was decided then.
    await service.ask("PUT", "/api/v1/tenants/label-2", {"labels": {"site": "busan"}})
    _, answer, _ = await service.ask("POST", URL, asked("by-label", {"labels": {"site": "busan"}}))
    assert (answer["laid"], answer["already"]) == (0, 2)


def test_a_key_of_an_earlier_release_names_the_same_request() -> None:
    body = exclusions.ExclusionBody.model_validate(asked("k", {"name": "a*"}))
    before = (
        '{"approved_by": null, "category": "maintenance", "duration": "1h", "end": null, '
        '"reason": "moving the data centre", "rrule": null, "start": "2026-03-03T08:00:00Z", "tenants": '
        '{"all": false, "name": "a*", "preset": null, "status": null, "tenant_ids": null}, "time_zone": null, '
        '"title": ""}'
    )
    assert exclusions._digest(body) == hashlib.sha256(before.encode()).hexdigest()
    other = exclusions.ExclusionBody.model_validate(asked("k", {"labels": {"a": "b"}, "name": "a*"}))
    assert exclusions._digest(other) != exclusions._digest(body)


async def test_many_at_once_with_the_same_key_lay_it_once(service: Service) -> None:
    names = await three(service, "race")
    body = asked("move-5", {"name": "race-*"})
    answers = await asyncio.gather(*(service.ask("POST", URL, body) for _ in range(5)))
    assert sum(answer["laid"] for _, answer, _ in answers) == 3
    assert [len(await windows(service, name)) for name in names] == [1, 1, 1]


async def test_anothers_tenants_are_neither_touched_nor_told_of(service: Service) -> None:
    labels = {"region": "seoul", "team": "billing"}
    mine = await three(service, "wall-mine", labels=labels)
    others = await three(service, "wall-other", labels=labels)
    await keeper(service, "walled", mine)
    for key, selector in (
        ("all", {"all": True}), ("pattern", {"name": "wall-*"}), ("preset", {"preset": "micro"}),
        ("status", {"status": "pending"}), ("labels", {"labels": {"region": "seoul"}}),
    ):  # fmt: skip
        status, answer, _ = await service.ask("POST", URL, asked(key, selector), who="walled")
        assert (status, answer["refused"]) in ((201, 0), (200, 0)), (key, answer)
        assert {row["tenant_id"] for row in answer["tenants"]} <= set(mine)
    assert all([await windows(service, name) == [] for name in others])
    listed = asked("list", {"tenant_ids": [mine[0], others[0], "no-such-tenant"]})
    status, answer, _ = await service.ask("POST", URL, listed, who="walled")
    assert (status, answer["laid"], answer["refused"]) == (201, 1, 2)
    said = {r["tenant_id"]: r["error"] for r in answer["tenants"] if r["outcome"] == "refused"}
    assert said.keys() == {others[0], "no-such-tenant"}
    assert said[others[0]]["code"] == said["no-such-tenant"]["code"] == "TENANT_NOT_FOUND"
    assert (
        said[others[0]]["message"].replace(others[0], "no-such-tenant") == said["no-such-tenant"]["message"]
    )
    assert await windows(service, others[0]) == []
    # Nor through a request of somebody who may change more.
    _, theirs, _ = await service.ask("POST", URL, asked("theirs", {"name": "wall-other-*"}))
    await keeper(service, "walled admin", mine, "admin")
    for method, path in (
        ("DELETE", f"{URL}/{theirs['request_id']}"),
        ("POST", f"{URL}/{theirs['request_id']}/approve"),
    ):
        status, answer, _ = await service.ask(method, path, who="walled admin")
        assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")
    assert all([len(await windows(service, name)) == 1 for name in others])


async def test_what_a_request_laid_is_taken_back_by_one_from_those_that_are_the_callers(
    service: Service,
) -> None:
    names = await three(service, "back")
    _, laid, _ = await service.ask("POST", URL, asked("move-6", {"name": "back-*"}))
    await keeper(service, "of one", names[:1])
    status, answer, _ = await service.ask("DELETE", f"{URL}/{laid['request_id']}", who="of one")
    assert (status, answer["removed"], answer["tenants"]) == (200, 1, names[:1])
    assert [len(await windows(service, name)) for name in names] == [0, 1, 1]
    status, answer, _ = await service.ask("DELETE", f"{URL}/{laid['request_id']}")
    assert (status, answer["removed"]) == (200, 2)
    # What was taken back stays so, whatever is repeated.
    _, again, _ = await service.ask("POST", URL, asked("move-6", {"name": "back-*"}))
    assert (again["laid"], again["already"], again["taken_back"]) == (0, 0, 3)
    assert [len(await windows(service, name)) for name in names] == [0, 0, 0]


async def test_a_tenant_that_has_no_room_is_named_and_the_others_get_theirs(service: Service) -> None:
    names = await three(service, "room")
    full = await service.runtime.tenants.get(names[1])
    await service.runtime.database.execute(
        "INSERT INTO maintenance (maintenance_id, tenant, starts_at, duration, time_zone, reason, created_by,"
        " created_at)"
        " SELECT gen_random_uuid(), $1, '2025-01-01Z', '1h', 'UTC', 'x', 'x', '2025-01-01Z'"
        " FROM generate_series(1, 1000)",
        full.key,
    )
    status, answer, _ = await service.ask("POST", URL, asked("move-7", {"name": "room-*"}))
    assert (status, answer["laid"], answer["refused"]) == (201, 2, 1)
    [refused] = [row for row in answer["tenants"] if row["outcome"] == "refused"]
    assert (refused["tenant_id"], refused["error"]["code"]) == (names[1], "LIMIT_REACHED")


async def test_a_dry_run_tells_whom_it_would_choose_and_does_nothing(service: Service) -> None:
    names = await three(service, "dry")
    status, answer, _ = await service.ask("POST", URL, asked("move-8", {"name": "dry-*"}, dry_run=True))
    assert (status, answer["chosen"]) == (200, 3)
    assert [row["tenant_id"] for row in answer["tenants"]] == names
    assert all([await windows(service, name) == [] for name in names])
    assert await service.runtime.exclusions.requested(answer["request_id"]) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tenants": {}}, "tenants"), ({"tenants": {"all": True, "name": "a*"}}, "tenants"),
        ({"tenants": {"status": "asleep"}}, "tenants.status"),
        ({"tenants": {"labels": {}}}, "tenants.labels"),
        ({"tenants": {"tenant_ids": []}}, "tenants.tenant_ids"), ({"tenants": {"colour": "red"}}, "tenants.colour"),
        ({"key": ""}, "key"), ({"category": "laziness"}, "category"),
        ({"start": "2026-03-03T08:00:00"}, "time_zone"), ({"rrule": "FREQ=DAILY"}, "time_zone"),
        ({"time_zone": ""}, "time_zone"), ({"time_zone": "", "rrule": "FREQ=DAILY"}, "time_zone"),
        ({"rrule": "FREQ=HOURLY", "time_zone": "Asia/Seoul"}, "rrule"),
        ({"start": "2026-01-01T08:00:00Z"}, "start"),
    ],
)  # fmt: skip
async def test_what_says_nothing_or_too_much_is_refused_by_field(
    service: Service, change: dict[str, Any], field: str
) -> None:
    await three(service, "odd") if not await service.runtime.tenants.live_of(["odd-0"]) else None
    status, answer, _ = await service.ask("POST", URL, {**asked("odd", {"name": "odd-*"}), **change})
    assert status == 422, answer
    assert [f["field"] for f in answer["error"]["details"]["fields"]] == [field]


async def test_more_tenants_than_one_request_may_choose_are_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three(service, "crowd")
    monkeypatch.setattr(exclusions, "MOST", 2)
    status, answer, _ = await service.ask("POST", URL, asked("move-9", {"name": "crowd-*"}))
    assert (status, answer["error"]["code"], answer["error"]["details"]["most"]) == (409, "LIMIT_REACHED", 2)
