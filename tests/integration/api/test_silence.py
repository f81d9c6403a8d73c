"""Silence is not perfection: wherever a figure is shown, so is how much of it was measured. All through HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecpmon.api.context import CONTEXT
from ecpmon.wire import rfc3339
from tests.integration.api.conftest import Service
from tests.integration.api.test_sockets import connect
from tests.waiting import PATIENCE

INTERVAL: Final = 60


async def push(service: Service, name: str, **metrics: float) -> Any:
    body = {"timestamp": rfc3339(service.clock.now()), "metrics": metrics}
    status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", body)
    assert status == 202, answer
    return answer


async def get(service: Service, path: str) -> Any:
    status, answer, _ = await service.ask("GET", path)
    assert status == 200, answer
    return answer


async def silent(service: Service, hours: float, **more: Any) -> str:
    """A tenant that was up for half an hour, and has said nothing since."""
    name = await service.tenant(push_interval=INTERVAL, push_mode="changes", **more)
    for _ in range(31):
        await push(service, name, up=1)
        service.clock.advance(INTERVAL)
    service.clock.advance(hours * 3600)
    await service.runtime.work.rolling.run_once()
    return name


async def row(service: Service, path: str, name: str) -> dict[str, Any]:
    [found] = [r for r in (await get(service, path))["tenants"] if r["tenant_id"] == name]
    return dict(found)


async def sla_data(service: Service, name: str) -> dict[str, Any]:
    async with connect(service, f"/api/v1/simulator/realtime/{name}") as socket:
        found: dict[str, Any] = (await socket.receive_json(timeout=PATIENCE))["sla_data"]
    return found


async def gauges(service: Service, name: str) -> dict[tuple[str, str | None], float]:
    """(family, window) -> value."""
    page = await get(service, "/metrics")
    pattern = rf'^(ecp_tenant_sla\w*){{tenant_id="{name}"(?:,window="(\w+)")?}} (\S+)$'
    return {
        (family, window or None): float(value) for family, window, value in re.findall(pattern, page, re.M)
    }


async def test_the_analysis_of_a_silent_tenant_claims_nothing(service: Service) -> None:
    name = await silent(service, hours=6)
    path = f"/api/v1/simulator/sla/{name}/analysis"
    day = await get(service, f"{path}?period=24h")
    [window] = (await get(service, f"/api/v1/tenants/{name}/sla?windows=24h"))["windows"]
    assert day["current_sla"] == day["uptime_percentage"] == 100
    assert (day["status"], day["verdict"], day["state"], day["stale"]) == (
        "no_data",
        "undetermined",
        "gap",
        True,
    )
    for key in ("bounds", "coverage", "verdict", "status", "gap_minutes"):
        assert day[key] == window[key]
    measured = 30 * INTERVAL + 2.5 * INTERVAL
    assert day["coverage"] == pytest.approx(100 * measured / (31 * INTERVAL + 6 * 3600))
    assert day["bounds"] == {"low": pytest.approx(day["coverage"]), "high": 100}
    hour = await get(service, f"{path}?period=1h")
    assert (hour["current_sla"], hour["uptime_percentage"], hour["coverage"]) == (None, None, 0)
    assert (hour["status"], hour["bounds"], hour["stale"]) == ("no_data", {"low": 0, "high": 100}, True)


async def test_what_was_mostly_measured_is_met_and_stale_while_it_is_silent(service: Service) -> None:
    name = await silent(service, hours=0.25)
    found = await get(service, f"/api/v1/simulator/sla/{name}/analysis")
    assert (found["current_sla"], found["status"], found["stale"]) == (100, "meeting", True)
    assert 50 < found["coverage"] < 100
    await push(service, name, up=1)
    found = await get(service, f"/api/v1/simulator/sla/{name}/analysis")
    assert (found["state"], found["stale"]) == ("up", False)


async def test_what_was_measured_as_down_is_violated_however_little_it_was(service: Service) -> None:
    name = await service.tenant(push_interval=INTERVAL)
    await push(service, name, up=0)
    service.clock.advance(6 * 3600)
    found = await get(service, f"/api/v1/simulator/sla/{name}/analysis")
    assert (found["current_sla"], found["status"], found["stale"]) == (0, "violated", True)
    assert found["bounds"]["high"] > 99


async def test_the_windows_of_a_silent_tenant_say_so(service: Service) -> None:
    name = await silent(service, hours=6)
    answer = await get(service, f"/api/v1/tenants/{name}/sla?windows=1h,24h")
    assert (answer["state"], answer["stale"]) == ("gap", True)
    assert [w["status"] for w in answer["windows"]] == ["no_data", "no_data"]
    assert [w["availability"] for w in answer["windows"]] == [None, 100]
    at = rfc3339(service.clock.now() - timedelta(hours=6, minutes=20))
    past = await get(service, f"/api/v1/tenants/{name}/sla?windows=1h&at={at}")
    assert (past["state"], past["stale"], past["windows"][0]["coverage"]) == ("up", False, 100)


@pytest.mark.parametrize("stored", [True, False])
async def test_the_summary_of_a_silent_tenant_says_so(service: Service, stored: bool) -> None:
    name = await silent(service, hours=6)
    if not stored:
        await service.runtime.database.execute("DELETE FROM sla_current")
    found = await row(service, "/api/v1/sla/summary", name)
    assert (found["state"], found["stale"], found["status"]) == ("gap", True, "no_data")
    for window in (await get(service, f"/api/v1/tenants/{name}/sla?windows=1h,24h,7d,30d,month"))["windows"]:
        own = found["windows"][window["window"]]
        for key in ("availability", "coverage", "status"):
            assert own[key] == pytest.approx(window[key]), key
        assert own["bounds"] == pytest.approx(window["bounds"])


async def test_the_list_of_a_silent_tenant_says_so(service: Service) -> None:
    name = await silent(service, hours=6)
    found = await row(service, "/api/v1/tenants/", name)
    assert (found["sla_availability"], found["sla_status"], found["sla_stale"]) == ("100%", "no_data", True)
    assert found["sla_coverage"] == pytest.approx(found["sla_bounds"]["low"])
    assert (found["sla_coverage"] < 10, found["sla_bounds"]["high"]) == (True, 100)
    assert found["sla_as_of"] == rfc3339(service.clock.now())
    new = await service.tenant()
    found = await row(service, "/api/v1/tenants/", new)
    assert (found["sla_availability"], found["sla_status"], found["sla_stale"]) == (None, "no_data", True)


async def test_sockets_and_gauges_of_a_silent_tenant_say_so(service: Service) -> None:
    name = await silent(service, hours=6)
    told = await sla_data(service, name)
    assert (told["availability"], told["status"], told["stale"]) == (100, "no_data", True)
    assert told["coverage"] == pytest.approx(told["bounds"]["low"])
    shown = await gauges(service, name)
    assert shown["ecp_tenant_sla_stale", None] == 1
    ratio, low, high, coverage = (
        shown[f"ecp_tenant_sla_{kind}_ratio", "24h"]
        for kind in ("availability", "availability_low", "availability_high", "coverage")
    )
    assert (ratio, high, low) == (1, 1, pytest.approx(coverage))
    assert ("ecp_tenant_sla_availability_ratio", "1h") not in shown  # nothing was measured
    assert (
        shown["ecp_tenant_sla_coverage_ratio", "1h"],
        shown["ecp_tenant_sla_availability_low_ratio", "1h"],
    ) == (0, 0)
    await push(service, name, up=1)
    await service.runtime.work.rolling.run_once()
    assert (await gauges(service, name))["ecp_tenant_sla_stale", None] == 0


async def test_the_outages_of_a_silent_tenant_come_with_the_time_that_nobody_measured(
    service: Service,
) -> None:
    name = await silent(service, hours=6)
    found = await get(service, f"/api/v1/tenants/{name}/incidents")
    [window] = (await get(service, f"/api/v1/tenants/{name}/sla?windows=30d"))["windows"]
    assert (found["incidents"], found["gap_minutes"]) == ([], pytest.approx(window["gap_minutes"]))
    assert found["gap_minutes"] > 300


async def test_who_falls_silent_is_marked_with_the_next_turn(service: Service) -> None:
    name = await service.tenant(push_interval=10)
    await push(service, name, up=1)
    for seconds, stale in ((1, 0), (23, 0), (2, 1)):
        service.clock.advance(seconds)
        await service.runtime.work.rolling.run_once()
        assert (await gauges(service, name))["ecp_tenant_sla_stale", None] == stale


async def test_what_a_deployment_burned_is_unknown_where_nobody_measured(service: Service) -> None:
    name = await silent(service, hours=0)
    told = {"status": "completed"}
    path = f"/api/v1/tenants/{name}"
    assert (await service.ask("POST", f"{path}/deployment-status", told))[0] == 200
    began = await get(service, f"{path}/deployment-status")
    assert (began["burned_minutes"], began["burned_coverage"]) == (0, None)
    service.clock.advance(7200)
    found = await get(service, f"{path}/deployment-status")
    # The last push held for a minute and a half more.
    assert (found["burned_minutes"], found["burned_coverage"]) == (0, pytest.approx(100 * 1.5 / 60))
    assert found["burned_bounds"] == {"low": 0, "high": pytest.approx(58.5)}
    assert (await service.ask("POST", f"{path}/deployment-status", told))[0] == 200
    service.clock.advance(7200)
    found = (await get(service, f"{path}/deployments"))["deployments"][0]
    assert (found["burned_minutes"], found["burned_coverage"]) == (None, 0)
    assert found["burned_bounds"] == {"low": 0, "high": 60}


async def test_what_a_deployment_burned_is_that_of_its_hour_and_in_doubt_as_far_as_its_samples_are(
    service: Service,
) -> None:
    name = await service.tenant(push_interval=1800, sli_source="push")
    path = f"/api/v1/tenants/{name}"
    for up, seconds in ((1, 10), (1, 1790), (1, 1800), (0, 1800), (0, 1)):
        await push(service, name, up=up)
        service.clock.advance(seconds)
        if seconds == 10:
            assert (await service.ask("POST", f"{path}/deployment-status", {"status": "completed"}))[0] == 200
    found = (await get(service, f"{path}/deployments"))["deployments"][0]
    # It was seen down 10 s before the end of the hour, and may have been so since half an hour before that.
    assert found["burned_minutes"] == pytest.approx(10 / 60, abs=1e-6)
    assert found["burned_bounds"] == {
        "low": pytest.approx(10 / 60, abs=1e-6),
        "high": pytest.approx(1810 / 60),
    }


# --- a property of all answers ---

RATIOS: Final = {
    "availability": "", "availability_other_accounting": "", "current_sla": "", "uptime_percentage": "",
    "sla_availability": "sla_", "burned_minutes": "burned_",
}  # fmt: skip


def objects(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
    for each in (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    ):
        yield from objects(each)


def check(document: Any) -> None:
    """No ratio without its coverage; with less than all of it within its bounds; none when nothing was measured."""
    for found in objects(document):
        for key, prefix in RATIOS.items():
            if key not in found:
                continue
            coverage = found[f"{prefix}coverage"]
            if found[key] is None:
                assert not coverage, found
                continue
            assert coverage is None or 0 < coverage <= 100, found
            if coverage != 100 and "timestamp" not in found:  # points of a plot have no bounds
                bounds = found[f"{prefix}bounds"]
                value = float(str(found[key]).rstrip("%"))
                rounded = 0.01 if isinstance(found[key], str) else 1e-6
                assert bounds["low"] - rounded <= value <= bounds["high"] + 1e-6, found


async def check_lists(service: Service, name: str) -> None:
    """What lists say is what the windows say, with bounds that are no narrower."""
    windows = (await get(service, f"/api/v1/tenants/{name}/sla?windows=1h,24h,7d,30d,month"))["windows"]
    listed = await row(service, "/api/v1/sla/summary", name)
    for window in windows:
        own, exact = listed["windows"][window["window"]], window["bounds"]
        assert own["availability"] == pytest.approx(window["availability"])
        assert own["coverage"] == pytest.approx(window["coverage"])
        if exact["low"] is None:
            assert own["bounds"] == exact
        else:
            assert own["bounds"]["low"] <= exact["low"] + 1e-6
            assert own["bounds"]["high"] >= exact["high"] - 1e-6


PUSHES = st.lists(
    st.tuples(st.sampled_from([0, 30, 60, 149, 151, 600, 4000, 30_000]), st.sampled_from([0, 1, 1])),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pushes=PUSHES,
    silence=st.sampled_from([0, 100, 1000, 50_000, 200_000]),
    maintenance=st.booleans(),
    mode=st.sampled_from(["changes", "samples"]),
)
async def test_no_answer_shows_a_ratio_without_its_coverage(
    service: Service, pushes: list[tuple[int, int]], silence: int, maintenance: bool, mode: str
) -> None:
    name = await service.tenant(push_interval=INTERVAL, push_mode=mode)
    path = f"/api/v1/tenants/{name}"
    assert (await service.ask("POST", f"{path}/deployment-status", {"status": "completed"}))[0] == 200
    for seconds, up in pushes:
        service.clock.advance(seconds)
        await push(service, name, up=up)
    if maintenance:
        start = rfc3339(service.clock.now() - timedelta(minutes=20))
        body = {"start": start, "duration": "10m", "reason": "a test"}
        assert (await service.ask("POST", f"{path}/maintenance", body))[0] == 201
    service.clock.advance(silence)
    await service.runtime.work.rolling.run_once()
    for question in (
        f"/api/v1/simulator/sla/{name}/analysis?period=1h", f"/api/v1/simulator/sla/{name}/analysis?period=7d",
        f"{path}/sla", f"{path}/sla?windows=1h,90d,quarter", f"{path}/sla/timeline?window=24h&step=1h",
        "/api/v1/sla/summary", "/api/v1/tenants/?limit=1000", f"{path}/deployments", f"{path}/deployment-status",
    ):  # fmt: skip
        check(await get(service, question))
    check(await sla_data(service, name))
    await check_lists(service, name)
    shown = await gauges(service, name)
    for (family, window), value in shown.items():
        if family == "ecp_tenant_sla_availability_ratio":
            low = shown["ecp_tenant_sla_availability_low_ratio", window]
            high = shown["ecp_tenant_sla_availability_high_ratio", window]
            assert low - 1e-9 <= value <= high + 1e-9
            assert shown["ecp_tenant_sla_coverage_ratio", window] > 0


# --- what can never become a figure is said to who pushes it ---


async def test_who_pushes_what_gives_no_sla_is_told_until_there_is_evidence(service: Service) -> None:
    name = await service.tenant(push_interval=INTERVAL)
    assert (await get(service, f"/api/v1/tenants/{name}"))["hints"] == []
    for _ in range(3):
        hint = (await push(service, name, cpu_usage=40, memory_usage=50))["hint"]
        assert (hint["code"], "`up`" in hint["message"]) == ("NO_SLA_EVIDENCE", True)
        assert (await get(service, f"/api/v1/tenants/{name}"))["hints"] == [hint]
        service.clock.advance(45)
    assert "hint" not in await push(service, name, up=1)
    assert "hint" not in await push(service, name, cpu_usage=40)
    assert (await get(service, f"/api/v1/tenants/{name}"))["hints"] == []


async def test_a_hint_comes_with_what_was_refused(service: Service) -> None:
    name = await service.tenant()
    answer = await push(service, name, cpu_usage=40, memory_usage=1e300)
    assert (answer["accepted"], answer["rejected_count"], answer["hint"]["code"]) == (1, 1, "NO_SLA_EVIDENCE")


@pytest.mark.parametrize("evidence", ["up", "error_rate", "up.chatbot", "error_rate.chatbot"])
async def test_evidence_of_before_a_restart_is_known(service: Service, evidence: str) -> None:
    name = await service.tenant()
    await push(service, name, **{evidence: 0})
    service.app[CONTEXT].production.hints.quiet.clear()
    assert "hint" not in await push(service, name, cpu_usage=40)


async def test_whose_evidence_comes_from_elsewhere_gets_no_hint(service: Service) -> None:
    name = await service.tenant(sli_source="prometheus")
    assert "hint" not in await push(service, name, cpu_usage=40)
    assert (await get(service, f"/api/v1/tenants/{name}"))["hints"] == []


async def test_a_batch_without_evidence_gets_a_hint_and_with_any_none(service: Service) -> None:
    for last, hinted in ((("cpu_usage", 1.0), True), (("up", 1.0), False)):
        name = await service.tenant()
        at = service.clock.now() - timedelta(minutes=1)
        batch = [
            {"timestamp": rfc3339(at + timedelta(seconds=n)), "metrics": dict([("cpu_usage", 1.0) if n < 9 else last])}
            for n in range(10)
        ]  # fmt: skip
        status, answer, _ = await service.ask("POST", f"/api/v1/tenants/{name}/monitoring", batch)
        assert (status, answer["accepted"], "hint" in answer) == (202, 10, hinted)


async def test_a_tenant_with_evidence_is_asked_about_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, asked = await service.tenant(), list[str]()
    has_said = service.runtime.monitoring.has_said

    async def counted(*args: Any) -> Any:
        asked.append(name)
        return await has_said(*args)

    monkeypatch.setattr(service.runtime.monitoring, "has_said", counted)
    for _ in range(3):
        await push(service, name, up=1)
        await push(service, name, cpu_usage=1)
    assert asked == []
    other = await service.tenant()
    for _ in range(5):
        await push(service, other, cpu_usage=1)
        service.clock.advance(11)
    assert len(asked) == 1
