"""Series that are sent as evidence, by a profile: which instance says what, and when it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ecpmon.agents.arriving import Arriving
from ecpmon.agents.bodies import take_first
from ecpmon.agents.evidence import choices_of, is_evidence
from ecpmon.agents.memory import Memory, Whose
from ecpmon.names import ENDS
from ecpmon.ports.profiles import Chosen, Selection
from tests.remote_write import STALE, series

T = 1_772_442_000_000
BEGIN = datetime.fromtimestamp(T / 1000, UTC)


def chosen(**more: Any) -> Chosen:
    selection = Selection(**{"profile": "scrape", "match": {"job": "x"}, "instances": "all"} | more)
    return Chosen("a", BEGIN, None, selection)


def said(body: bytes, *choices: Chosen) -> dict[tuple[int, str | None], float]:
    """What has a vote, by instant and component."""
    found = Arriving(Memory(), Whose(), "tenant_id", T - 10**9, T + 10**9)
    for _ in take_first(body, found):
        pass
    before = found.samples
    found.judge(choices_of(choices))
    assert found.samples == before, "of what was sent it is no more"
    keys = found.memory.keys
    return {
        (ms - T, keys[n].component): value
        for (_, ms), (numbers, values) in found.groups.items()
        for n, value in zip(numbers, values, strict=True)
        if keys[n].metric_name == "up" and keys[n].component is not None
    }


def up(value: float, ms: int = T, name: str = "up", **labels: str) -> bytes:
    return series({"__name__": name, "tenant_id": "a", "job": "x", "instance": "i", **labels}, (value, ms))


def test_each_instance_with_the_labels_of_the_profile_says_whether_it_is_up() -> None:
    body = up(1.0) + up(0.0, instance="j") + up(0.0, job="y") + up(1.0, name="other")
    assert said(body, chosen()) == {(0, "i"): 1.0, (0, "j"): 0.0}
    assert said(body) == {}


def test_a_probe_is_a_voice_of_its_own() -> None:
    body = up(1.0) + up(0.0, name="probe_success", job="blackbox", instance="https://x")
    assert said(body, chosen(probe={"job": "blackbox"})) == {(0, "i"): 1.0, (0, "probe https://x"): 0.0}


@pytest.mark.parametrize(
    ("samples", "value", "expected"), [(5, 0.0, None), (0, 0.0, 0.0), (5, 1.0, 1.0), (0, 1.0, 1.0)]
)
def test_what_was_scraped_and_not_taken_is_not_down(
    samples: int, value: float, expected: float | None
) -> None:
    found = said(up(value) + up(float(samples), name="scrape_samples_scraped"), chosen())
    assert found == ({} if expected is None else {(0, "i"): expected})


def test_a_choice_holds_for_what_was_measured_while_it_does() -> None:
    body = up(1.0, T - 1) + up(0.0, T) + up(1.0, T + 1_000)
    until = chosen()
    ended = Chosen(until.tenant_id, BEGIN, datetime.fromtimestamp(T / 1000 + 1, UTC), until.selection)
    assert said(body, ended) == {(0, "i"): 0.0}


@pytest.mark.parametrize(
    ("more", "expected"),
    [({"instances": "any"}, False), ({"instances": "any", "match": {"instance": "i"}}, True), ({}, True)],
)
def test_any_of_several_instances_is_nothing_that_a_sender_can_tell(
    more: dict[str, Any], expected: bool
) -> None:
    choice = chosen(**more)
    assert choice.selection is not None
    assert is_evidence(choice.selection) is expected
    assert bool(said(up(1.0), choice)) is expected


def ended(body: bytes, *choices: Chosen) -> tuple[set[tuple[int, str, str | None]], dict[str, int]]:
    """Which voices of the tenant `a` end, by instant; and what was left out."""
    found = Arriving(Memory(), Whose(), "tenant_id", T - 10**9, T + 10**9)
    for _ in take_first(body, found):
        pass
    before = found.samples
    found.judge(choices_of(choices))
    assert found.samples == before, "of what was sent it is no more"
    keys = found.memory.keys
    told = {
        (ms - T, keys[n].metric_name, keys[n].component)
        for (tenant, ms), (numbers, _) in found.groups.items()
        for n in numbers
        if tenant == "a" and keys[n].metric_name in ENDS
    }
    return told, {why.value: count for why, count in found.left_out.items() if count}


def marker(name: str, ms: int = T, **labels: str) -> bytes:
    return series({"__name__": name, "tenant_id": "a", **labels}, (STALE, ms))


def test_a_marker_ends_what_is_evidence_by_itself_of_up_for_good() -> None:
    body = marker("up") + marker("up", service="bot") + marker("error_rate", T + 1, service="bot")
    over = {(0, "up_over", ""), (0, "up_over", "bot"), (1, "error_rate_silent", "bot")}
    assert ended(body) == (over, {})
    # What is nobody's, and what says nothing about availability, ends nothing.
    nobodys = series({"__name__": "up"}, (STALE, T))
    assert ended(marker("cpu") + marker("up", job="x") + nobodys) == (set(), {"stale": 2, "no_tenant": 1})


def test_by_a_profile_an_instance_ends_with_its_up_and_so_does_a_probe() -> None:
    choice = chosen(probe={"job": "blackbox"})
    gone = marker("up", job="x", instance="i") + marker("scrape_samples_scraped", job="x", instance="i")
    assert ended(gone, choice) == ({(0, "up_over", "i")}, {"stale": 1})
    # A scrape that failed: `up` is 0, and all else is marked.
    failed = up(0.0, job="blackbox", instance="p") + marker("probe_success", job="blackbox", instance="p")
    assert ended(failed, choice) == ({(0, "up_silent", "probe p")}, {})
    probe = marker("probe_success", job="blackbox", instance="p") + marker("up", job="blackbox", instance="p")
    assert ended(probe, choice) == ({(0, "up_silent", "probe p"), (0, "up_over", "probe p")}, {})
    assert ended(marker("up", job="y", instance="i"), choice) == (set(), {"stale": 1})
    assert ended(marker("up", T - 1, job="x"), choice) == (set(), {"stale": 1}), "before it was chosen"


def test_what_ended_outside_of_the_times_that_are_kept_is_told_to_nobody() -> None:
    assert ended(marker("up", T + 10**9 + 1, job="x"), chosen()) == (set(), {"stale": 1})
    assert ended(marker("up", T + 10**9 + 1)) == (set(), {"in_the_future": 1})
