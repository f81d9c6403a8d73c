"""`/metrics`: what it says, to whom, and what it costs whoever does not read it."""

from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from typing import Any

import pytest
from fakes import NOW
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from ecpmon import tenantlines
from ecpmon.api.exposition import MAX_KEPT, PIECE, Pages
from ecpmon.telemetry import Telemetry
from ecpmon.tenantlines import DURATION_BOUNDS, TENANTS_AT_ONCE, Durations
from ecpmon.tenantseries import TenantSeries

AGE = timedelta(seconds=5)
NEVER = 1e12
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def telemetry_of(*tenants: str) -> Telemetry:
    made = Telemetry()
    for number, name in enumerate(tenants):
        made.tenants.usage(name, {"cpu_usage": 12.5 + number, "queue_depth": 3}, at=1.0, until=NEVER)
        made.tenants.sla(name, "30d", {"availability": 0.5, "coverage": 1, "burn_rate": None})
        made.tenants.maintenance(name, True)
        made.tenants.request(name, "POST", 202)
        made.tenants.request(name, "POST", 202)
    figures = {("latency", "1h"): {"ratio": 0.25, "budget": None}}
    made.tenants.objectives(dict.fromkeys(tenants, figures))
    return made


def samples_of(text: bytes) -> Samples:
    families = text_string_to_metric_families(text.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}


def read(telemetry: Telemetry, tenants: Any = None) -> Samples:
    return samples_of(b"".join(telemetry.exposition(tenants)))


def tenants_in(samples: Samples) -> set[str]:
    return {value for _, labels in samples for label, value in labels if label in ("tenant_id", "tenant")}


def test_every_figure_is_there_and_what_has_none_is_left_out() -> None:
    found = read(telemetry_of("bank"))

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset({**labels, "tenant_id": "bank"}.items())]

    assert value("ecp_tenant_cpu_usage") == 12.5
    assert value("ecp_tenant_maintenance") == 1
    assert value("ecp_tenant_sla_availability_ratio", window="30d") == 0.5
    assert value("ecp_tenant_objective_ratio", objective="latency", window="1h") == 0.25
    assert value("ecp_tenant_requests_total", code="202", method="POST", status="success") == 2
    of_tenant = {name for name, labels in found if ("tenant_id", "bank") in labels}
    assert len(of_tenant) == 6, of_tenant
    assert ("ecpmon_leader", frozenset()) in found


def test_a_tenant_that_is_gone_leaves_nothing() -> None:
    telemetry = telemetry_of("bank", "club")
    telemetry.tenants.keep_only({"bank": 1, "club": 2})
    telemetry.tenants.keep_only({"club": 2})
    assert tenants_in(read(telemetry)) == {"club"}


def test_a_new_tenant_of_the_same_name_begins_with_nothing() -> None:
    telemetry = telemetry_of("bank")
    telemetry.tenants.keep_only({"bank": 1})
    assert tenants_in(read(telemetry)) == {"bank"}
    telemetry.tenants.keep_only({"bank": 2})
    assert tenants_in(read(telemetry)) == set()


@pytest.mark.parametrize("name", ['quote"d', "back\\slash", "two\nlines", "은행"])
def test_names_that_people_made_by_hand_do_not_break_the_page(name: str) -> None:
    assert tenants_in(read(telemetry_of(name))) == {name}


def test_a_reader_sees_its_tenants_and_the_process() -> None:
    telemetry = telemetry_of("bank", "club")
    for label in ("tenant_id", "tenant"):  # whoever adds a series to the registry need not think of this
        counter = Counter(f"later_{label}", "x", [label], registry=telemetry.registry)
        counter.labels("bank").inc()
        counter.labels("club").inc()
    everything = read(telemetry)
    assert tenants_in(everything) == {"bank", "club"}
    assert tenants_in(read(telemetry, {"bank", "unknown"})) == {"bank"}
    assert tenants_in(read(telemetry, set())) == set()
    process = {key for key in everything if not {"tenant_id", "tenant"} & {label for label, _ in key[1]}}
    assert read(telemetry, set()).keys() == process


def test_a_piece_does_not_grow_with_the_number_of_tenants() -> None:
    few, many = (
        max(map(len, telemetry_of(*(f"tenant-{i:04}" for i in range(count))).exposition(None)))
        for count in (TENANTS_AT_ONCE, 10 * TENANTS_AT_ONCE)
    )
    assert many < few + 2 * TENANTS_AT_ONCE, "but for the digits of times and figures"


async def test_nothing_is_lost_between_the_pieces() -> None:
    telemetry = telemetry_of(*(f"tenant-{i:04}" for i in range(300)))
    page = await Pages(telemetry, AGE).get(None, NOW)
    assert len(page.plain) > 1
    assert max(map(len, page.plain)) < 2 * PIECE
    assert read(telemetry) == samples_of(b"".join(page.plain))


async def test_all_who_ask_meanwhile_share_one_rendering() -> None:
    pages = Pages(telemetry_of("bank"), AGE)
    found = await asyncio.gather(*(pages.get(None, NOW) for _ in range(50)))
    assert pages.rendered == 1
    assert all(page is found[0] for page in found)
    assert gzip.decompress(b"".join(found[0].zipped)) == b"".join(found[0].plain)
    assert await pages.get(None, NOW + AGE / 2) is found[0]
    assert (await pages.get(None, NOW + AGE)).at == NOW + AGE
    assert (await pages.get(None, NOW)).at == NOW, "a clock that steps back does not keep a page for ever"


async def test_whoever_hangs_up_does_not_take_the_page_from_the_others() -> None:
    pages = Pages(telemetry_of("bank"), AGE)
    first = asyncio.create_task(pages.get(None, NOW))
    second = asyncio.create_task(pages.get(None, NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).at == NOW
    assert pages.rendered == 1


async def test_pages_of_many_readers_do_not_pile_up() -> None:
    pages = Pages(telemetry_of("bank"), AGE)
    for number in range(3 * MAX_KEPT):
        await pages.get(frozenset({f"tenant-{number}"}), NOW)
    assert len(pages._kept) == MAX_KEPT
    assert not pages._running


def test_what_is_kept_of_a_tenant_is_never_older_than_its_figures() -> None:
    telemetry, name = telemetry_of("bank", "shop"), "ecp_tenant_sla_availability_ratio"
    series = telemetry.tenants
    series.keep_only({"bank": 1, "shop": 2})

    def shown() -> dict[str, float]:
        return {dict(labels)["tenant_id"]: v for (n, labels), v in read(telemetry).items() if n == name}

    assert shown() == shown() == {"bank": 0.5, "shop": 0.5}
    series.sla("bank", "30d", {"availability": 0.25})
    assert shown() == {"bank": 0.25, "shop": 0.5}
    series.unknown("bank")
    assert shown() == {"shop": 0.5}
    series.sla("bank", "30d", {"availability": 1})
    # The name is another tenant's now.
    series.keep_only({"bank": 1, "shop": 3})
    assert shown() == {"bank": 1}
    series.clear()
    assert shown() == {}


def test_the_text_of_a_tenant_at_rest_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry = telemetry_of("bank", "shop")
    first = read(telemetry)
    made: list[float] = []
    number = tenantlines._number
    monkeypatch.setattr(tenantlines, "_number", lambda value: made.append(value) or number(value))
    for name in ("bank", "shop"):
        telemetry.tenants.sla(name, "30d", {"availability": 0.5, "coverage": 1, "burn_rate": None})
    figures = {("latency", "1h"): {"ratio": 0.25, "budget": None}}
    telemetry.tenants.objectives(dict.fromkeys(("bank", "shop"), figures))
    assert read(telemetry) == first
    assert made == []
    telemetry.tenants.sla("shop", "30d", {"availability": 0.25, "coverage": 1, "burn_rate": None})
    assert read(telemetry) != first
    assert made == [0.25, 1], "availability and coverage of one tenant"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda t: t.usage("bank", {"cpu_usage": 99}, at=1.0, until=NEVER),
            ("ecp_tenant_cpu_usage", {"tenant_id": "bank"}, 99),
        ),
        (
            lambda t: t.maintenance("bank", False),
            ("ecp_tenant_maintenance", {"tenant_id": "bank"}, 0),
        ),
        (
            lambda t: t.request("bank", "POST", 202),
            (
                "ecp_tenant_requests_total",
                {"tenant_id": "bank", "method": "POST", "status": "success", "code": "202"},
                3,
            ),
        ),
        (
            lambda t: t.objectives({"bank": {("latency", "1h"): {"ratio": 0.75}}}),
            (
                "ecp_tenant_objective_ratio",
                {"tenant_id": "bank", "objective": "latency", "window": "1h"},
                0.75,
            ),
        ),
    ],
    ids=["usage", "maintenance", "requests", "objectives"],
)
def test_every_change_is_on_the_next_page(change: Any, line: tuple[str, dict[str, str], float]) -> None:
    telemetry, (name, labels, value) = telemetry_of("bank"), line
    assert read(telemetry)[name, frozenset(labels.items())] != value
    change(telemetry.tenants)
    assert read(telemetry)[name, frozenset(labels.items())] == value


@pytest.mark.parametrize("told", [True, False], ids=["by the leader", "by what all processes tell"])
def test_text_is_kept_of_tenants_that_are_there_only(told: bool) -> None:
    series = TenantSeries()

    def kept(*tenants: str) -> list[set[str]]:
        series.replace_shared({name: {"cpu_usage": (1.0, 1, NEVER)} for name in tenants}, {})
        if told:
            series.keep_only(dict.fromkeys(tenants, 1))
        list(series.exposition(None))
        return [set(group._kept) for group in series._groups]

    assert kept("bank", "shop") == [{"bank", "shop"}] * 8
    assert kept("club") == [{"club"}] * 8


def at_second(now: list[float]) -> TenantSeries:
    return TenantSeries(lambda: now[0])


def usage_of(series: TenantSeries) -> Samples:
    return {
        key: value
        for key, value in samples_of(b"".join(series.exposition(None))).items()
        if key[0].endswith("_usage")
    }


CPU_OF_BANK = ("ecp_tenant_cpu_usage", frozenset({("tenant_id", "bank")}))


def test_late_data_never_replaces_newer_and_what_is_good_no_more_is_never_shown() -> None:
    now = [1000.0]
    series = at_second(now)
    series.usage("bank", {"cpu_usage": 1}, at=500, until=650)
    assert usage_of(series) == {}, "nobody knew a newer one, but that it was good until long ago"
    series.usage("bank", {"cpu_usage": 95}, at=990, until=1140)
    series.usage("bank", {"cpu_usage": 2}, at=980, until=1130)
    assert usage_of(series) == {CPU_OF_BANK: 95}
    series.usage("bank", {"cpu_usage": 96}, at=990, until=1140)
    assert usage_of(series) == {CPU_OF_BANK: 96}, "of one instant what was taken last"


def test_the_usage_of_a_silent_tenant_is_gone_when_its_last_value_is_good_no_more() -> None:
    now = [1000.0]
    series, shared = at_second(now), at_second(now)
    series.usage("bank", {"cpu_usage": 95, "memory_usage": 40}, at=1000, until=1150)
    now[0] = 1100
    series.usage("bank", {"memory_usage": 41}, at=1100, until=1250)
    told = [*series.usage_told()]
    assert told == [{"bank": {"cpu_usage": [1000, 95, 1150], "memory_usage": [1100, 41, 1250]}}]
    usage = {"bank": {"cpu_usage": (1000.0, 95.0, 1150.0), "memory_usage": (1100.0, 41.0, 1250.0)}}
    shared.replace_shared(usage, {})
    for second, names in ((1150, {"cpu", "memory"}), (1151, {"memory"}), (1250, {"memory"}), (1251, set())):
        now[0] = second
        expected = {f"ecp_tenant_{name}_usage" for name in names}
        assert {name for name, _ in usage_of(series)} == expected == {name for name, _ in usage_of(shared)}
    assert [*series.usage_told()] == [{}]


def test_whether_a_tenant_is_up_is_told_of_those_of_which_it_is_known() -> None:
    series = TenantSeries()
    series.up({"bank": 1.0, "club": 0.0, "shop": 0.75})
    found = samples_of(b"".join(series.exposition(None)))
    assert {dict(labels)["tenant_id"]: value for (_, labels), value in found.items()} == {
        "bank": 1, "club": 0, "shop": 0.75,
    }  # fmt: skip
    series.up({"club": 1.0})
    assert tenants_in(samples_of(b"".join(series.exposition(None)))) == {"club"}
    assert tenants_in(samples_of(b"".join(series.exposition(None, leads=False)))) == set()


def test_durations_of_deployments_are_a_histogram_by_preset() -> None:
    series = TenantSeries()
    counts = (0,) * 4 + (2,) * 3 + (3,) * 4
    series.durations({"bank": {"small": Durations(counts, 512.5)}})
    text = b"".join(series.exposition(None))
    (family,) = (f for f in text_string_to_metric_families(text.decode()) if f.samples)
    assert (family.name, family.type) == ("ecp_tenant_deployment_duration_seconds", "histogram")
    assert all((s.labels["tenant_id"], s.labels["preset"]) == ("bank", "small") for s in family.samples)
    buckets = [(s.labels["le"], s.value) for s in family.samples if s.name.endswith("_bucket")]
    assert [value for _, value in buckets] == list(counts)
    assert [float(le) for le, _ in buckets] == [*DURATION_BOUNDS, float("inf")]
    rest = {s.name.rpartition("_")[2]: s.value for s in family.samples if "le" not in s.labels}
    assert rest == {"sum": 512.5, "count": 3}


@pytest.mark.parametrize(
    ("code", "status"),
    [(101, "success"), (200, "success"), (304, "success"), (400, "client_error"), (429, "client_error"),
     (500, "server_error"), (503, "server_error")],
)  # fmt: skip
def test_the_status_of_a_request_says_whose_fault_it_is(code: int, status: str) -> None:
    series = TenantSeries()
    series.request("bank", "GET", code)
    ((_, labels),) = samples_of(b"".join(series.exposition(None)))
    assert dict(labels) == {"tenant_id": "bank", "method": "GET", "status": status, "code": str(code)}
