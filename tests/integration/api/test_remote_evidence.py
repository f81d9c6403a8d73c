"""A tenant that nothing is pulled for: what agents send is its availability and its objectives."""

from __future__ import annotations

from typing import Any

from tests.integration.api.conftest import Service
from tests.integration.api.test_remote_write import V2, T, send
from tests.remote_write import STALE, packed, request_v2, series, varint

PROFILE = {"profile": "scrape", "match": {"job": "bot"}, "instances": "all", "probe": {"job": "blackbox"}}


async def tenant_with(service: Service, profile: dict[str, Any]) -> tuple[str, Any]:
    name = await service.tenant(sli_source="push", push_interval=60)
    status, answer, _ = await service.ask("PUT", f"/api/v1/tenants/{name}/evidence-profile", profile)
    assert status == 200, answer
    return name, answer


async def sla_of(service: Service, name: str) -> Any:
    return (await service.ask("GET", f"/api/v1/tenants/{name}/sla"))[1]


async def test_availability_comes_of_the_instances_that_a_profile_names(service: Service) -> None:
    name, answer = await tenant_with(service, PROFILE)
    assert not [warning for warning in answer["warnings"] if "evidence" in warning]

    def said(second: int, one: float, other: float, probed: float = 1.0) -> bytes:
        at, about = T + second * 1000, {"tenant_id": name}
        return b"".join(
            series({"__name__": metric, "job": job, "instance": instance, **about}, (value, at))
            for metric, job, instance, value in (
                ("up", "bot", "a", one), ("up", "bot", "b", other), ("up", "else", "c", 0.0),
                ("probe_success", "blackbox", "https://x", probed),
            )
        )  # fmt: skip

    for second, told, state in (
        (0, (1.0, 1.0), "up"),
        (30, (1.0, 0.0), "down"),
        (60, (1.0, 1.0), "up"),
        (90, (1.0, 1.0, 0.0), "down"),
        (120, (1.0, 1.0), "up"),
    ):
        service.clock.advance(30 if second else 0)
        assert (await send(service, packed(said(second, *told))))[0] == 204
        assert (await sla_of(service, name))["state"] == state, second


async def test_any_of_several_instances_cannot_be_told_and_the_answer_says_what_can(service: Service) -> None:
    name, answer = await tenant_with(service, {"profile": "scrape", "match": {"job": "bot"}})
    assert "name the one `instance`" in answer["warnings"][0]
    labels = {"__name__": "up", "job": "bot", "instance": "a", "tenant_id": name}
    assert (await send(service, packed(series(labels, (1.0, T)))))[0] == 204
    assert (await sla_of(service, name))["state"] == "none"


async def test_an_objective_counts_the_series_that_its_labels_name(service: Service) -> None:
    name = await service.tenant(sli_source="push")
    objective = {
        "kind": "requests", "target": 0.9, "windows": ["1h"],
        "total": {"metric": "http_requests_total", "labels": {"job": "bot"}},
        "bad": {"metric": "http_requests_total", "labels": {"job": "bot", "code": {"re": "5.."}}},
    }  # fmt: skip
    path = f"/api/v1/tenants/{name}/objectives/answered"
    assert (await service.ask("PUT", path, objective))[0] == 201
    for minute in range(61):
        at = T - (60 - minute) * 60_000
        body = b"".join(
            series(
                {"__name__": "http_requests_total", "tenant_id": name, "job": job, "code": code}, (value, at)
            )
            for job, code, value in (
                ("bot", "200", 9.0 * minute),
                ("bot", "503", 1.0 * minute),
                ("else", "503", 7.0 * minute),
            )
        )
        assert (await send(service, packed(body)))[0] == 204
    await service.runtime.work.objectives.roll()
    _, answer, _ = await service.ask("GET", f"{path}/status?windows=1h")
    (hour,) = answer["windows"]
    assert (hour["good"], hour["bad"]) == (9 * 59, 59)


async def test_a_restart_that_no_fall_tells_of_is_counted_by_when_the_counter_began(service: Service) -> None:
    name = await service.tenant(sli_source="push")
    total = {"metric": "done_total"}
    objective = {"kind": "requests", "target": 0.9, "windows": ["1h"], "total": total,
                 "bad": total | {"labels": {"code": "503"}}}  # fmt: skip
    path = f"/api/v1/tenants/{name}/objectives/answered"
    assert (await service.ask("PUT", path, objective))[0] == 201
    labels = {"__name__": "done_total", "tenant_id": name}
    for minute in range(61):
        at = T - (60 - minute) * 60_000
        # It was started anew half a minute before the 30th, and has passed 290 by then.
        value, began = (
            (10.0 * minute, T - 7_200_000) if minute < 30 else (10.0 * minute + 100, T - 30 * 60_000 - 30_000)
        )
        body = request_v2(
            *(
                ({**labels, "code": code}, [(told, at)], b"\x30" + varint(began))
                for code, told in (("200", value), ("503", 0.0))
            )
        )
        assert (await send(service, packed(body), Content_Type=V2))[0] == 204
    await service.runtime.work.objectives.roll()
    _, answer, _ = await service.ask("GET", f"{path}/status?windows=1h")
    (hour,) = answer["windows"]
    assert (hour["good"], hour["bad"], hour["assumed_resets"]) == (29 * 10 + 400 + 29 * 10, 0, 0)


async def test_an_instance_that_is_gone_is_missed_no_more(service: Service) -> None:
    name, _ = await tenant_with(service, {k: v for k, v in PROFILE.items() if k != "probe"})

    def up(second: int, **said: float | int) -> bytes:
        at = T + second * 1000
        return b"".join(
            series({"__name__": "up", "job": "bot", "instance": instance, "tenant_id": name}, (value, at))
            for instance, value in said.items()
        )

    now = 0
    for second, body, state in (
        (0, up(0, a=1.0, b=1.0), "up"),
        (30, up(30, a=1.0, b=0.0), "down"),
        # The marker comes after what others said later.
        (60, up(60, a=1.0), "down"),
        (65, up(45, b=STALE), "up"),
        (300, up(300, a=1.0), "up"),
        (330, up(330, a=STALE), "gap"),
    ):
        service.clock.advance(second - now)
        now = second
        assert (await send(service, packed(body)))[0] == 204
        assert (await sla_of(service, name))["state"] == state, second


async def test_nobody_else_ends_what_a_tenant_says(service: Service) -> None:
    """Neither who may not write for it, nor under another tenant's name."""
    name, _ = await tenant_with(service, {k: v for k, v in PROFILE.items() if k != "probe"})
    other = await service.tenant(sli_source="push", push_interval=60)
    await service.token("outsider", ["ingest"], [other])

    def up(value: float | int, tenant: str = name) -> bytes:
        return packed(
            series({"__name__": "up", "job": "bot", "instance": "a", "tenant_id": tenant}, (value, T))
        )

    assert (await send(service, up(1.0)))[0] == 204
    for body, who in ((up(STALE), "outsider"), (up(STALE, other), "ingest")):
        assert (await send(service, body, who))[0] == 204
        assert (await sla_of(service, name))["state"] == "up"
    told = "SELECT FROM monitoring_data WHERE metric_name LIKE 'up\\_%' AND tenant_id = ANY($1)"
    assert await service.runtime.database.fetch(told, [name, other]) == []
