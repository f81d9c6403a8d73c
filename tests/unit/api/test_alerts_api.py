"""Alert rules (api.md §5), over real sockets with stores in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fakes import NOW, OUTSIDER, World, ago, ask, error_of, fields_of, make_app

from ecpmon.api import alerts
from ecpmon.api.routing import Permission
from ecpmon.model.alerts import (
    AlertRule,
    EmailAction,
    RuleKind,
    RuleState,
    RuleStatus,
    Severity,
    WebhookAction,
)
from ecpmon.model.samples import Source
from ecpmon.settings import Settings

URL = "/api/v1/tenants/acme/alerts"
HOOK = {"type": "webhook", "url": "https://hooks.example/x", "headers": {"X-Api-Key": "top-secret"}}
MAIL = {"type": "email", "recipients": ["a@b.example"]}
RULE = {"alert_name": "high_cpu", "condition": "cpu_usage > 80"}


@pytest.fixture
def world() -> World:
    made = World(settings=Settings(smtp_host="mail.example"))
    made.tenants.add("acme")
    made.tenants.add("other")
    return made


@pytest.fixture
async def client(world: World, aiohttp_client: Any) -> Any:
    return await aiohttp_client(make_app([alerts], world))


def rule_id(number: int) -> str:
    return f"6f1c2a52-0000-4000-8000-{number:012d}"


def rule(number: int = 1, **change: Any) -> AlertRule:
    made = AlertRule(
        rule_id(number), "acme", f"r{number}", RuleKind.THRESHOLD, "cpu_usage > 80", 300, Severity.WARNING
    )
    return replace(made, **change)


def test_who_may_do_what() -> None:
    assert {(r.method, r.path.removeprefix("/api/v1/tenants/{tenant_id}")): r.permission for r in
            alerts.routes.table} == {
        ("POST", "/alerts"): Permission.OPERATE,
        ("GET", "/alerts"): Permission.READ,
        ("GET", "/alerts/active"): Permission.READ,
        ("GET", "/alerts/deliveries"): Permission.READ,
        ("POST", "/alerts/deliveries/{delivery_id}/resend"): Permission.OPERATE,
        ("GET", "/alerts/{rule_id}"): Permission.READ,
        ("PUT", "/alerts/{rule_id}"): Permission.OPERATE,
        ("DELETE", "/alerts/{rule_id}"): Permission.OPERATE,
    }  # fmt: skip


async def test_a_rule_is_saved_and_shown(client: Any, world: World) -> None:
    body = {**RULE, "duration": "5m", "severity": "page", "actions": [HOOK, MAIL]}
    status, made = await ask(client, "POST", URL, body)
    assert status == 201
    masked = {**HOOK, "method": "POST", "headers": {"X-Api-Key": "***"}}
    assert made == {
        "rule_id": made["rule_id"], "tenant_id": "acme", "alert_name": "high_cpu", "kind": "threshold",
        "condition": "cpu_usage > 80", "duration": "300s", "severity": "page", "actions": [masked, MAIL],
        "state": "inactive", "since": None, "value": None, "frozen": False, "flapping": False, "alert_id": None,
        "silenced": None,
        "acknowledged": None,
        "created_at": "2026-03-02T09:00:00Z",
        "hints": [],
    }  # fmt: skip
    [entry] = world.alerts.entries.values()
    assert entry.rule.actions == (
        WebhookAction("https://hooks.example/x", "POST", (("X-Api-Key", "top-secret"),)),
        EmailAction(("a@b.example",)),
    )
    assert await ask(client, "GET", f"{URL}/{made['rule_id']}") == (200, made)
    assert await ask(client, "GET", URL) == (200, {"tenant_id": "acme", "alerts": [made]})


async def test_what_is_left_out_has_a_default(client: Any) -> None:
    _, made = await ask(client, "POST", URL, RULE)
    assert (made["duration"], made["severity"], made["actions"]) == ("0s", "warning", [])


async def test_two_rules_of_one_name_conflict(client: Any) -> None:
    await ask(client, "POST", URL, RULE)
    status, answer = await ask(client, "POST", URL, RULE)
    assert (status, error_of(status, answer)["code"]) == (409, "CONFLICT")
    assert (await ask(client, "POST", "/api/v1/tenants/other/alerts", RULE))[0] == 201


@pytest.mark.parametrize("duration", ["0s", "30s", "5m", "24h", "7d", "168h"])
async def test_durations(client: Any, duration: str) -> None:
    assert (await ask(client, "POST", URL, {**RULE, "duration": duration}))[0] == 201


async def test_a_rule_about_a_metric_of_ones_own_is_refused_until_its_first_sample_is_there(
    client: Any, world: World
) -> None:
    body = {**RULE, "condition": "queue_depth > 5"}
    status, answer = await ask(client, "POST", URL, body)
    assert (status, fields_of(error_of(status, answer))) == (422, ["condition"])
    world.samples.stored["acme", Source.PUSH, "custom", "queue_depth"] = {NOW: 1.0}
    assert (await ask(client, "POST", URL, body))[0] == 201
    assert (await ask(client, "POST", "/api/v1/tenants/other/alerts", body))[0] == 422


@pytest.mark.parametrize(
    ("condition", "position"),
    [
        ("", 1), ("cpu_usage", 10), ("cpu_usage >", 12), ("cpu_usgae > 80", 1), ("1 > 2", 1),
        ("cpu_usage > 80 and", 19), ("avg(cpu_usage, 5x) > 1", 16), ("__import__('os')", 12),
    ],
)  # fmt: skip
async def test_a_bad_condition_is_refused_with_its_column(
    client: Any, world: World, condition: str, position: int
) -> None:
    status, answer = await ask(client, "POST", URL, {**RULE, "condition": condition})
    error = error_of(status, answer)
    assert (status, fields_of(error), error["details"]["position"]) == (422, ["condition"], position)
    assert f"column {position}" in error["details"]["fields"][0]["message"]
    assert world.alerts.entries == {}


@pytest.mark.parametrize("condition", ["(" * 100 + "cpu > 1" + ")" * 100, "cpu > 1 or " * 100 + "cpu > 1"])
async def test_conditions_are_bounded(client: Any, condition: str) -> None:
    status, answer = await ask(client, "POST", URL, {**RULE, "condition": condition})
    assert (status, fields_of(error_of(status, answer))) == (422, ["condition"])


def hook(**change: Any) -> dict[str, Any]:
    return {"actions": [{**HOOK, **change}]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"alert_name": ""}, "alert_name"), ({"alert_name": "x" * 201}, "alert_name"),
        ({"alert_name": 5}, "alert_name"), ({"alert_name": "a\nb"}, "alert_name"),
        ({"alert_name": "a\x00"}, "alert_name"), ({"condition": None}, "condition"), ({"condition": 5}, "condition"),
        *(({"duration": d}, "duration") for d in ("", "soon", "5", "-5m", "5w", "8d", "169h", "1.5h", 300, None)),
        ({"severity": "loud"}, "severity"), ({"severity": 1}, "severity"),
        ({"actions": {}}, "actions"), ({"actions": [MAIL] * 21}, "actions"), ({"actions": ["x"]}, "actions.0"),
        ({"actions": [{}]}, "actions.0.type"), ({"actions": [{"type": "pigeon"}]}, "actions.0.type"),
        (hook(method="GET"), "actions.0.method"), (hook(headers={"X": 1}), "actions.0.headers.X"),
        (hook(added=1), "actions.0.added"), (hook(headers=[]), "actions.0.headers"),
        *((hook(url=u), "actions.0") for u in (
            None, "", "/x", "ftp://hooks.example/", "file:///etc/passwd", "https://user:pw@hooks.example/",
            "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://2130706433/", "http://10.0.0.1/",
            "http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/", "https://hooks.example:22/",
            "https://hooks.example/a b",
        )),
        *((hook(headers=h), "actions.0") for h in (
            {"Host": "x"}, {"Content-Length": "0"}, {"X-ECP-Signature": "x"}, {"a b": "x"}, {"X": "a\r\nb: c"},
            {"X": "é"}, {"X": "x" * 1025},
        )),
        ({"actions": [MAIL, {"type": "email"}]}, "actions.1"),
        *(({"actions": [{"type": "email", "recipients": r}]}, "actions.0") for r in (
            [], ["x"], ["a@b.example\nBcc: c@d.example"], ["a@b.example"] * 21,
        )),
        ({"actions": [{"type": "email", "recipients": [5]}]}, "actions.0.recipients.0"),
    ],
)  # fmt: skip
async def test_a_bad_rule_is_refused_and_the_field_named(
    client: Any, world: World, change: dict[str, Any], field: str
) -> None:
    status, answer = await ask(client, "POST", URL, {**RULE, **change})
    assert (status, fields_of(error_of(status, answer))) == (422, [field])
    assert world.alerts.entries == {}
    assert "top-secret" not in json.dumps(answer)


@pytest.mark.parametrize(
    "body", [b'{"alert_name": "\\ud800"}', b'{"actions": [{"type": "email", "\\ud800": 1}]}']
)
async def test_half_surrogate_pairs_are_refused(client: Any, body: bytes) -> None:
    status, answer = await ask(client, "POST", URL, body)
    assert (status, error_of(status, answer)["code"]) == (422, "VALIDATION_FAILED")


@pytest.mark.parametrize("body", [[], "text", 5, None])
async def test_bodies_that_are_no_rule(client: Any, body: Any) -> None:
    status, _ = await ask(client, "POST", URL, json.dumps(body).encode())
    assert status == 422


@pytest.mark.parametrize(
    ("settings", "action", "status"),
    [
        (Settings(webhook_allow_loopback=True), {**HOOK, "url": "http://127.0.0.1:9/x"}, 201),
        (Settings(webhook_allow_loopback=True), {**HOOK, "url": "http://10.0.0.1/x"}, 422),
        (Settings(webhook_allow_private=True), {**HOOK, "url": "http://10.0.0.1/x"}, 201),
        (Settings(webhook_allow_private=True), {**HOOK, "url": "http://169.254.169.254/"}, 422),
    ],
)
async def test_what_the_installation_allows(
    aiohttp_client: Any, settings: Settings, action: Any, status: int
) -> None:
    world = World(settings=settings)
    world.tenants.add("acme")
    client = await aiohttp_client(make_app([alerts], world))
    found, answer = await ask(client, "POST", URL, {**RULE, "actions": [action]})
    assert found == status, answer


async def test_a_rule_is_taken_whole_and_says_what_of_it_cannot_be_done_here(aiohttp_client: Any) -> None:
    """The source documents' rule, in an installation without a mail server."""
    both = {**RULE, "duration": "5m", "actions": [{**HOOK, "headers": {}}, MAIL]}
    for settings, codes in (
        (Settings(smtp_host=None), ["NO_MAIL_SERVER"]),
        (Settings(smtp_host="mail.example"), []),
    ):
        world = World(settings=settings)
        world.tenants.add("acme")
        client = await aiohttp_client(make_app([alerts], world))
        status, made = await ask(client, "POST", URL, both)
        assert (status, len(made["actions"])) == (201, 2)
        shown = (await ask(client, "GET", f"{URL}/{made['rule_id']}"))[1]
        listed = (await ask(client, "GET", URL))[1]["alerts"][0]
        # What is shown can be sent back.
        kept = (await ask(client, "PUT", f"{URL}/{made['rule_id']}", shown))[1]
        for one in (made, shown, listed, kept):
            assert [(h["code"], h["actions"]) for h in one["hints"]] == [(code, [1]) for code in codes]


async def test_a_tenant_has_a_bounded_number_of_rules(client: Any, world: World) -> None:
    for number in range(199):
        world.alerts.put(rule(number))
    assert (await ask(client, "POST", URL, RULE))[0] == 201
    status, answer = await ask(client, "POST", URL, {**RULE, "alert_name": "one too many"})
    assert (status, error_of(status, answer)["code"]) == (409, "LIMIT_REACHED")
    assert (await ask(client, "POST", "/api/v1/tenants/other/alerts", RULE))[0] == 201


async def test_active_rules_are_those_that_are_pending_or_firing(client: Any, world: World) -> None:
    world.alerts.put(rule(1))
    world.alerts.put(rule(2), RuleState(RuleStatus.PENDING, since=ago(minutes=1), value=91.5))
    firing = RuleState(RuleStatus.FIRING, since=ago(minutes=2), value=99.0, frozen=True)
    world.alerts.put(rule(3, kind=RuleKind.BURN_RATE), firing, "alert-3")
    _, body = await ask(client, "GET", URL + "/active")
    shown = [(a["rule_id"], a["state"], a["value"], a["frozen"], a["alert_id"]) for a in body["alerts"]]
    assert shown == [
        (rule_id(2), "pending", 91.5, False, None),
        (rule_id(3), "firing", 99.0, True, "alert-3"),
    ]
    assert body["alerts"][0]["since"] == "2026-03-02T08:59:00Z"
    _, everything = await ask(client, "GET", URL)
    assert len(everything["alerts"]) == 3


async def test_a_rule_is_deleted(client: Any, world: World) -> None:
    world.alerts.put(rule())
    assert await ask(client, "DELETE", f"{URL}/{rule_id(1)}") == (204, None)
    for method in ("GET", "DELETE"):
        status, answer = await ask(client, method, f"{URL}/{rule_id(1)}")
        assert (status, error_of(status, answer)["code"]) == (404, "NOT_FOUND")


async def test_a_rule_is_replaced_as_a_whole_and_starts_anew(client: Any, world: World) -> None:
    world.alerts.put(rule(), RuleState(RuleStatus.FIRING, since=ago(minutes=2), value=99.0), "alert-1")
    body = {"alert_name": "hot", "condition": "cpu_usage > 95", "severity": "page", "actions": [HOOK]}
    status, made = await ask(client, "PUT", f"{URL}/{rule_id(1)}", body)
    assert status == 200
    assert made == {
        "rule_id": rule_id(1), "tenant_id": "acme", "alert_name": "hot", "kind": "threshold",
        "condition": "cpu_usage > 95", "duration": "0s", "severity": "page",
        "actions": [{**HOOK, "method": "POST", "headers": {"X-Api-Key": "***"}}], "state": "inactive",
        "since": None, "value": None, "frozen": False, "flapping": False, "alert_id": None,
        "silenced": None,
        "acknowledged": None,
        "created_at": made["created_at"],
        "hints": [],
    }  # fmt: skip
    assert await ask(client, "GET", f"{URL}/{rule_id(1)}") == (200, made)
    [told] = world.alerts.events
    shown = (told.rule_id, told.alert_id, told.alert_name, told.from_state, told.to_state, told.reason)
    assert shown == (rule_id(1), "alert-1", "r1", "firing", "inactive", "rule_replaced")


async def test_what_was_read_can_be_written_back_and_then_nothing_changes(client: Any, world: World) -> None:
    _, made = await ask(client, "POST", URL, {**RULE, "duration": "5m", "actions": [HOOK, MAIL]})
    rule_id = made["rule_id"]
    entry = world.alerts.entries[rule_id]
    firing = replace(entry, state=RuleState(RuleStatus.FIRING, since=ago(minutes=2)), alert_id="alert-1")
    world.alerts.entries[rule_id] = firing
    _, read = await ask(client, "GET", f"{URL}/{rule_id}")
    assert await ask(client, "PUT", f"{URL}/{rule_id}", read) == (200, read)
    assert world.alerts.entries[rule_id] == firing
    assert world.alerts.events == []
    # A secret goes to the URL it was given for and to no other.
    elsewhere = {**read, "actions": [{**read["actions"][0], "url": "https://elsewhere.example/"}]}
    status, answer = await ask(client, "PUT", f"{URL}/{rule_id}", elsewhere)
    assert (status, fields_of(error_of(status, answer))) == (422, ["actions.0.headers.X-Api-Key"])
    assert world.alerts.entries[rule_id] == firing


@pytest.mark.parametrize(
    ("change", "field"),
    [({"alert_name": ""}, "alert_name"), ({"condition": "cpu >"}, "condition"), ({"duration": "x"}, "duration"),
     ({"actions": [{**HOOK, "url": "http://127.0.0.1/"}]}, "actions.0")],
)  # fmt: skip
async def test_a_bad_replacement_changes_nothing(
    client: Any, world: World, change: dict[str, Any], field: str
) -> None:
    world.alerts.put(rule())
    status, answer = await ask(client, "PUT", f"{URL}/{rule_id(1)}", {**RULE, **change})
    assert (status, fields_of(error_of(status, answer))) == (422, [field])
    assert world.alerts.entries[rule_id(1)].rule == rule()


async def test_a_replacement_cannot_take_anothers_name(client: Any, world: World) -> None:
    world.alerts.put(rule(1))
    world.alerts.put(rule(2))
    status, answer = await ask(client, "PUT", f"{URL}/{rule_id(1)}", {**RULE, "alert_name": "r2"})
    assert (status, error_of(status, answer)["code"]) == (409, "CONFLICT")
    assert world.alerts.entries[rule_id(1)].rule == rule(1)


async def test_of_an_sla_rule_only_severity_and_actions_can_be_changed(client: Any, world: World) -> None:
    text = "burn rate: 2 % in 1h/5m or 5 % in 6h/30m"
    own = rule(kind=RuleKind.BURN_RATE, condition=text, for_seconds=0, policy="page")
    world.alerts.put(own)
    body = {"alert_name": "r1", "condition": text, "duration": "0s", "severity": "ticket", "actions": [HOOK]}
    for change in ({"alert_name": "x"}, {"condition": "cpu > 1"}, {"duration": "5m"}):
        status, answer = await ask(client, "PUT", f"{URL}/{rule_id(1)}", {**body, **change})
        assert (status, error_of(status, answer)["code"]) == (409, "CONFLICT")
    assert (await ask(client, "PUT", f"{URL}/{rule_id(1)}", body))[0] == 200
    changed = world.alerts.entries[rule_id(1)].rule
    assert (changed.policy, changed.kind, changed.severity) == ("page", RuleKind.BURN_RATE, Severity.TICKET)
    assert len(changed.actions) == 1


async def test_deleting_a_firing_rule_ends_its_alert(client: Any, world: World) -> None:
    world.alerts.put(rule(), RuleState(RuleStatus.FIRING, since=ago(minutes=2), value=99.0), "alert-1")
    assert await ask(client, "DELETE", f"{URL}/{rule_id(1)}") == (204, None)
    [told] = world.alerts.events
    assert (told.alert_id, told.to_state, told.reason) == ("alert-1", "inactive", "rule_deleted")


@pytest.mark.parametrize("kind", [k for k in RuleKind if k is not RuleKind.THRESHOLD])
async def test_the_rules_every_tenant_has_stay(client: Any, world: World, kind: RuleKind) -> None:
    world.alerts.put(rule(kind=kind))
    status, answer = await ask(client, "DELETE", f"{URL}/{rule_id(1)}")
    assert (status, error_of(status, answer)["code"]) == (409, "CONFLICT")
    assert rule_id(1) in world.alerts.entries


async def test_anothers_rule_does_not_exist(client: Any, world: World) -> None:
    world.alerts.put(rule(tenant_id="other"))
    for method in ("GET", "DELETE", "PUT"):
        assert (await ask(client, method, f"{URL}/{rule_id(1)}", RULE))[0] == 404
    assert world.alerts.entries[rule_id(1)].rule == rule(tenant_id="other")
    assert rule_id(1) in world.alerts.entries


def delivery(number: int, action: dict[str, Any]) -> dict[str, Any]:
    return {
        "notification_id": number, "rule_id": rule_id(1), "alert_name": "r1", "to_state": "firing",
        "action": action, "status": "delivered", "attempts": 1, "created_at": NOW, "next_attempt_at": NOW,
        "finished_at": NOW, "last_status": 200, "last_reason": "accepted", "last_answer": "ok",
    }  # fmt: skip


async def test_deliveries_show_no_secrets(client: Any, world: World) -> None:
    world.deliveries.sent["acme"] = [delivery(2, HOOK), delivery(1, MAIL)]
    _, body = await ask(client, "GET", URL + "/deliveries")
    assert [d["action"] for d in body["deliveries"]] == [{**HOOK, "headers": {"X-Api-Key": "***"}}, MAIL]
    assert body["deliveries"][0]["finished_at"] == "2026-03-02T09:00:00Z"
    _, body = await ask(client, "GET", URL + "/deliveries?limit=1")
    assert [d["notification_id"] for d in body["deliveries"]] == [2]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", ""])
async def test_limits_of_deliveries(client: Any, limit: str) -> None:
    status, answer = await ask(client, "GET", f"{URL}/deliveries?limit={limit}")
    assert (status, fields_of(error_of(status, answer))) == (422, ["limit"])


@pytest.mark.parametrize("name", ["acme", "nobody", "Not%20A%20Name"])
async def test_an_outsider_finds_nothing(aiohttp_client: Any, world: World, name: str) -> None:
    world.alerts.put(rule())
    client = await aiohttp_client(make_app([alerts], world, OUTSIDER))
    url = f"/api/v1/tenants/{name}/alerts"
    calls = [
        ("POST", url, RULE),
        ("PUT", f"{url}/{rule_id(1)}", RULE),
        ("DELETE", f"{url}/{rule_id(1)}", None),
    ]
    calls += [("GET", url + rest, None) for rest in ("", "/active", "/deliveries", f"/{rule_id(1)}")]
    for method, path, body in calls:
        status, answer = await ask(client, method, path, body)
        assert (status, error_of(status, answer)["code"]) == (404, "TENANT_NOT_FOUND"), path
    assert list(world.alerts.entries) == [rule_id(1)]
