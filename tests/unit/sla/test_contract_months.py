"""Every instant lies in one month of a contract, and every month is judged by one version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.maintenance import Accounting
from ecpmon.model.tenants import ContractVersion, SlaTarget
from ecpmon.sla import contracts
from ecpmon.sla.contracts import Label, judged, label_at, month, month_start
from ecpmon.sla.maintenance import zone
from ecpmon.sla.periods import midnight
from ecpmon.sla.statements import contract_of, period_of

CREATED = datetime(2026, 1, 10, 5, tzinfo=UTC)
# The furthest apart there are; midnights that are struck twice (Havana) or never (Asuncion); two half an hour apart.
ZONES = (
    "UTC", "Asia/Seoul", "Pacific/Kiritimati", "Etc/GMT+12", "America/Havana", "America/Asuncion", "Asia/Kolkata",
    "Asia/Dhaka",
)  # fmt: skip


def version(
    number: int, valid_from: datetime, time_zone: str = "UTC", target: str = "99.9%"
) -> ContractVersion:
    sla = SlaTarget(availability=target)
    return ContractVersion(
        number, valid_from, sla, Accounting.EXCLUDE, time_zone, None, None, valid_from, "kim"
    )


def following(label: Label) -> Label:
    return (label[0] + 1, 1) if label[1] == 12 else (label[0], label[1] + 1)


def in_force(versions: Sequence[ContractVersion], at: datetime) -> ContractVersion:
    return [v for v in versions if v.valid_from <= at][-1]


def after_changes(changes: Sequence[tuple[int, str]]) -> list[ContractVersion]:
    """What is left of versions made so many hours after the creation, each with its time zone."""
    versions = [version(1, CREATED)]
    for number, (hours, time_zone) in enumerate(sorted(changes), 2):
        at = CREATED + timedelta(hours=hours)
        now = in_force(versions, at)
        year, number_of_month = following(label_at([v for v in versions if v.valid_from <= at], at))
        begins = midnight(year, number_of_month, zone(now.time_zone))
        versions = [*(v for v in versions if v.valid_from < begins), version(number, begins, time_zone)]
    return versions


CHANGES = st.lists(st.tuples(st.integers(24, 24 * 600), st.sampled_from(ZONES)), max_size=6)


@given(CHANGES)
def test_months_follow_one_another_without_a_hole(changes: list[tuple[int, str]]) -> None:
    versions = after_changes(changes)
    labels = [(2026 + n // 12, n % 12 + 1) for n in range(36)]
    found = [month(versions, label) for label in labels]
    assert all(a.period.end == b.period.start for a, b in pairwise(found))
    assert all(timedelta(days=26) < f.period.end - f.period.start < timedelta(days=33) for f in found)
    # And each is judged by what was in force when it began.
    for each in found[1:]:
        assert each.version == in_force(versions, each.period.start)


@given(CHANGES, st.integers(0, 24 * 700), st.sampled_from(["month", "quarter"]))
def test_the_window_of_an_instant_holds_it(changes: list[tuple[int, str]], hours: int, name: str) -> None:
    versions, at = after_changes(changes), CREATED + timedelta(hours=hours)
    parts = judged(name, at, versions)
    assert parts[0].period.start <= at < parts[-1].period.end
    assert month(versions, label_at(versions, at)).period.start == month_start(versions, at) <= at
    assert all(a.period.end == b.period.start for a, b in pairwise(parts))
    assert all(a.version != b.version for a, b in pairwise(parts))
    assert parts == judged(name, parts[0].period.start, versions)


def test_a_quarter_is_judged_by_the_versions_of_its_months() -> None:
    versions = [version(1, CREATED), version(2, datetime(2026, 5, 1, tzinfo=UTC), target="99%")]
    parts = judged("quarter", datetime(2026, 6, 5, tzinfo=UTC), versions)
    assert [(p.version.version, p.period.start.month, p.period.end.month) for p in parts] == [
        (1, 4, 5),
        (2, 5, 7),
    ]
    (whole,) = judged("quarter", datetime(2026, 8, 5, tzinfo=UTC), versions)
    assert (whole.version.version, whole.period.start.month, whole.period.end.month) == (2, 7, 10)


def test_a_rolling_window_is_judged_by_the_newest_though_it_is_not_in_force_yet() -> None:
    versions = [version(1, CREATED), version(2, datetime(2026, 5, 1, tzinfo=UTC))]
    at = datetime(2026, 4, 20, tzinfo=UTC)
    (rolling,), (calendar,) = judged("30d", at, versions), judged("month", at, versions)
    assert (rolling.version.version, calendar.version.version) == (2, 1)
    assert rolling.period.end - rolling.period.start == timedelta(days=30)


def test_a_version_with_another_time_zone_goes_on_where_the_one_before_ends() -> None:
    begins = datetime(2026, 4, 30, 15, tzinfo=UTC)
    versions = [version(1, CREATED, "Asia/Seoul"), version(2, begins, "America/Los_Angeles")]
    april, may, june = (month(versions, (2026, n)) for n in (4, 5, 6))
    assert april.period.end == may.period.start == begins
    assert may.period.end == june.period.start == datetime(2026, 6, 1, 7, tzinfo=UTC)
    # By the wall clock of Los Angeles it is still April then.
    assert label_at(versions, begins) == (2026, 5)
    assert label_at(versions, begins - timedelta(seconds=1)) == (2026, 4)
    assert contracts.months(versions, [(2026, 5), (2026, 6)])[0].period.end == june.period.end


@given(CHANGES)
def test_a_statement_is_of_the_very_time_that_its_version_judges(changes: list[tuple[int, str]]) -> None:
    versions = after_changes(changes)
    for label in ((2026 + n // 12, n % 12 + 1) for n in range(30)):
        found = month(versions, label)
        contract = contract_of(found, "x", ())
        assert period_of(contracts.name_of(label), contract) == found.period


def test_half_an_hour_is_in_one_month_only() -> None:
    begins = datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
    versions = [version(1, CREATED, "Asia/Kolkata"), version(2, begins, "Asia/Dhaka")]
    contract = contract_of(month(versions, (2026, 11)), "x", ())
    assert (
        period_of("2026-11", contract).start
        == period_of("2026-10", contract_of(month(versions, (2026, 10)), "x", ())).end
    )
