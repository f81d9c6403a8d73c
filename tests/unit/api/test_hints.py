"""A hint costs nothing where there is none to give, and no fault of the database takes a push with it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ecpmon.api.hints import NO_EVIDENCE, Hints
from ecpmon.errors import DatabaseUnavailable
from ecpmon.model.samples import Block, Columns, Entry, Frame, Sample, SeriesKey, Shape, Source
from ecpmon.sla.evidence import series_key
from tests.unit.api.fakes import FakeTenants

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Said:
    """What the database says, and how often it was asked."""

    def __init__(self, evidence: bool = False) -> None:
        self.evidence, self.asked, self.away = evidence, 0, False

    async def has_said(self, *_: Any) -> tuple[bool, bool]:
        self.asked += 1
        if self.away:
            raise DatabaseUnavailable("away")
        return self.evidence, True


def entries(name: str) -> list[Entry]:
    key: SeriesKey = series_key(name)
    block = Block("acme", Source.PUSH, Shape((key,)))
    assert block.extend([NOW], [[1.0]])
    return [
        block,
        Frame("acme", Source.PUSH, NOW, Columns(Shape((key,)), [1.0])),
        Frame("acme", Source.PUSH, NOW, (Sample(key, 1.0),)),
    ]


def tenant(**more: Any) -> Any:
    return FakeTenants().add("acme", **{"sli_source": "push", **more})


@pytest.mark.parametrize("name", ["up", "error_rate", "up.callbot", "error_rate.callbot"])
async def test_who_says_whether_he_is_up_is_never_asked_about(name: str) -> None:
    for entry in entries(name):
        said = Said()
        hints: Any = Hints(said)  # type: ignore[arg-type]
        assert await hints.of(tenant(), [entry], NOW) is None
        assert (said.asked, hints.quiet) == (0, {tenant().key})


async def test_of_who_does_not_it_is_asked_once_a_minute() -> None:
    said = Said()
    hints = Hints(said)  # type: ignore[arg-type]
    for entry in entries("cpu"):
        for seconds in (0, 30, 59):
            assert await hints.of(tenant(), [entry], NOW + timedelta(seconds=seconds)) is NO_EVIDENCE
    assert said.asked == 1
    said.evidence = True
    assert await hints.of(tenant(), entries("cpu"), NOW + timedelta(seconds=60)) is None
    assert hints.quiet == {tenant().key}


async def test_no_fault_of_the_database_takes_a_push_with_it() -> None:
    said = Said()
    said.away = True
    assert await Hints(said).of(tenant(), entries("cpu"), NOW) is None  # type: ignore[arg-type]


async def test_whose_evidence_is_not_pushed_gets_none() -> None:
    said = Said()
    hints = Hints(said)  # type: ignore[arg-type]
    assert await hints.of(tenant(sli_source="prometheus"), entries("cpu"), NOW) is None
    assert await hints.about(tenant(sli_source="prometheus")) == []
    assert said.asked == 0
