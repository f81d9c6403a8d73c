"""Which months are looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from ecpmon.model.maintenance import Maintenance
from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.model.windows import Tally
from ecpmon.ports.sla import Look
from ecpmon.statements.looks import ANYWAY, Inputs, is_old, span_digests

AT = datetime(2026, 4, 5, tzinfo=UTC)
TOTALS = Tally(86_400, 60, 5)
HOUR = timedelta(hours=1)


def tenant(**more: Any) -> Tenant:
    usual: dict[str, Any] = {
        "key": 1, "tenant_id": "acme", "name": "ACME", "preset": "small", "is_demo": False, "created_at": AT,
        "status": TenantStatus.RUNNING, "service_requirements": {"chatbot": 1}, "updated_at": AT,
        "resources": Resources(cpu="1", memory="1Gi", gpu=0, storage="1TB"),
        "sla_target": SlaTarget(availability="99.5%"),
    }  # fmt: skip
    return Tenant(**usual | more)


def planned(**more: Any) -> Maintenance:
    usual: dict[str, Any] = {"maintenance_id": "m-1", "start": AT, "duration": HOUR, "reason": "patches",
                             "created_by": "kim", "created_at": AT}  # fmt: skip
    return Maintenance(**usual | more)


BEFORE = Inputs(tenant(), [planned()]).of(TOTALS)


def test_what_is_no_part_of_a_statement_has_no_month_looked_at_again() -> None:
    other = tenant(
        status=TenantStatus.DEGRADED, status_reason="down", updated_at=AT + HOUR, labels={"a": "b"}
    )
    assert Inputs(other, [planned()]).of(Tally(86_400, 60, 5, early=3)) == BEFORE


@pytest.mark.parametrize(
    ("own", "window", "totals"),
    [
        ({"sla_target": SlaTarget(availability="99.9%")}, {}, TOTALS),
        ({"name": "Acme"}, {}, TOTALS),
        ({"time_zone": "Asia/Seoul"}, {}, TOTALS),
        ({}, {"approver": "lee"}, TOTALS),
        ({}, {"duration": 2 * HOUR}, TOTALS),
        ({}, {}, Tally(86_400, 61, 5)),
        ({}, {}, Tally(86_400, 60, 6)),
        ({}, {}, None),
    ],
)
def test_whatever_a_statement_follows_from_has_it_looked_at(
    own: dict[str, Any], window: dict[str, Any], totals: Tally | None
) -> None:
    assert Inputs(tenant(**own), [planned(**window)]).of(totals) != BEFORE


def test_spans_are_those_of_the_month_of_three_before_and_of_one_after() -> None:
    sums = [
        ("2025-11", "3 1"),
        ("2025-12", "2 9"),
        ("2026-02", "1 4"),
        ("2026-04", "1 5"),
        ("2026-05", "1 6"),
    ]
    before = span_digests(sums, ["2026-02", "2026-03"])
    both = {"2026-02", "2026-03"}
    for changed, whose in ((0, {"2026-02"}), (1, both), (2, both), (3, {"2026-03"}), (4, set[str]())):
        other = [(m, of if n != changed else "7 7") for n, (m, of) in enumerate(sums)]
        after = span_digests(other, list(before))
        assert {month for month in before if before[month] != after[month]} == whose


def test_spans_are_compared_once_or_twice_a_day_and_tenants_come_by_turns() -> None:
    look, names = Look(AT, b"", b""), [f"tenant-{n}" for n in range(300)]
    old = [sum(is_old(name, look, AT + n * HOUR) for name in names) for n in range(26)]
    assert old[12] == 0
    assert old[24] == len(names)
    assert max(after - before for before, after in pairwise(old)) < len(names) / 6
    assert is_old("acme", look, AT - HOUR), "a clock that was ahead"
    assert ANYWAY == 24 * HOUR
