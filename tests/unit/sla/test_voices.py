"""Several voices of one tenant against an oracle that asks, at every instant, who holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.availability import Observation, SpanState
from ecpmon.sla.crossings import Share, Voice
from ecpmon.sla.spans import lay
from ecpmon.sla.voices import Chorus, Policy, Told, expected_until
from ecpmon.sla.windows import bounds, tally

T0 = datetime(2026, 3, 1, tzinfo=UTC)
# Everything happens on whole steps: values, ends of holding, ends of hours.
STEP = timedelta(minutes=30)
LAST = 120
WEIGHTS = {"a": 1.0, "b": 3.0}


class End(Enum):
    """What a voice says instead of whether it is down."""

    OVER = "over"
    SILENT = "silent"


# What is said at each step.
Values = Mapping[int, Mapping[Voice, "bool | End"]]
POLICIES = [
    Policy("push", 3 * STEP),
    Policy("push", STEP),
    Policy("push", 4 * STEP, WEIGHTS),
    Policy("simulator", 2 * STEP, whole_decides=True),
]


def at(step: float) -> datetime:
    return T0 + step * STEP


def told_of(values: Values, policies: Sequence[tuple[int, Policy]]) -> list[Told]:
    """`policies`: from which step on each is in force, in order, the first from the beginning."""
    found = []
    for step in sorted(values):
        policy = [p for since, p in policies if since <= step][-1]
        said = values[step].items()
        votes = policy.counted({voice: what for voice, what in said if isinstance(what, bool)})
        ends = {
            voice: what is End.OVER for voice, what in said if isinstance(what, End) and policy.counts(voice)
        }
        if votes or ends:
            found.append(Told(at(step), votes, policy, ends))
    return found


def oracle(told: Sequence[Told], now: datetime) -> Share | None:
    """How much is down and unknown at `now`, asked afresh."""
    before = [t for t in told if t.ts <= now]
    if not before:
        return None
    policy = before[-1].policy
    since = max((n + 1 for n, t in enumerate(before) if t.policy.source != policy.source), default=0)
    latest: dict[Voice, tuple[Told, bool]] = {}
    for each in before[since:]:
        for ended in each.ends:
            latest.pop(ended, None)
        latest |= {voice: (each, down) for voice, down in each.votes.items()}
    held = {voice: down for voice, (said, down) in latest.items() if said.ts + said.policy.holds > now}
    missed = expected_at(before, now) - held.keys()

    def state(component: str) -> bool | None:
        own = [down for (_, of), down in held.items() if of == component]
        if any(own) or (own and component not in {of for _, of in missed}):
            return any(own)
        return None

    if policy.weights is not None:
        down, unknown = (
            sum(w for c, w in policy.weights.items() if state(c) is what) / sum(policy.weights.values())
            for what in (True, None)
        )
        return None if unknown == 1.0 else (down, unknown)
    if policy.whole_decides and any(not of for _, of in held):
        return None if state("") is None else (float(bool(state(""))), 0.0)
    if any(held.values()):
        return 1.0, 0.0
    return (0.0, 0.0) if held and not missed else None


def expected_at(before: Sequence[Told], now: datetime) -> set[Voice]:
    alike = [t for t in before if t.policy.source == before[-1].policy.source]
    found: dict[Voice, datetime] = {}
    for each in alike:
        for ended in (voice for voice, for_good in each.ends.items() if for_good):
            found.pop(ended, None)
        found |= dict.fromkeys(each.votes, each.ts)
    return {voice for voice, ts in found.items() if expected_until(ts) > now}


def shares(observations: Sequence[Observation], until: int) -> list[Share | None]:
    """What the observations say at each step before `until`."""
    spans = lay(observations, max(at(until), observations[-1].ts)) if observations else []
    found: list[Share | None] = []
    for step in range(until):
        held = [s for s in spans if s.start <= at(step) < s.end and not s.is_blind]
        found.append((held[0].down_share, held[0].unknown_share) if held else None)
    return found


VALUES = st.dictionaries(
    st.integers(0, LAST),
    st.dictionaries(
        st.tuples(st.sampled_from(["up", "up", "error_rate"]), st.sampled_from(["", "a", "b", "c"])),
        st.sampled_from([False, False, False, True, End.OVER, End.SILENT]),
        min_size=1,
        max_size=4,
    ),
    min_size=1,
    max_size=25,
)
REGIMES = st.tuples(
    st.sampled_from(POLICIES), st.dictionaries(st.integers(1, LAST), st.sampled_from(POLICIES), max_size=2)
).map(lambda drawn: [(0, drawn[0]), *sorted(drawn[1].items())])


@given(VALUES, REGIMES)
def test_at_every_instant_the_state_follows_from_all_voices_that_hold(
    values: Values, policies: list[tuple[int, Policy]]
) -> None:
    told = told_of(values, policies)
    seen = Chorus().follow(told)
    newest = max((step for step in values if any(t.ts == at(step) for t in told)), default=-1)
    # Weights are quarters, which floats add up exactly.
    assert shares(seen, newest + 1) == [oracle(told, at(n)) for n in range(newest + 1)]
    # And the open end holds as long as silence changes nothing.
    if told and seen and (share := oracle(told, told[-1].ts)) is not None:
        later = newest
        while oracle(told, at(later)) == share:
            later += 1
        assert seen[-1].ts + seen[-1].holds == at(later)


@given(VALUES, REGIMES, st.sets(st.integers(0, LAST), max_size=6))
def test_it_may_be_told_in_parts(values: Values, policies: list[tuple[int, Policy]], cuts: set[int]) -> None:
    told = told_of(values, policies)
    chorus, seen = Chorus(), list[Observation]()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), LAST + 1], strict=True):
        part = [t for t in told if at(start) <= t.ts < at(end)]
        current = None
        if seen and chorus.newest is not None and seen[-1].ts + seen[-1].holds > chorus.newest:
            current = seen.pop()
        seen += chorus.follow(part, current)
    assert seen == Chorus().follow(told)


@given(VALUES, REGIMES, st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=9))
def test_who_says_all_there_is_to_say_needs_no_memory(
    values: Values, policies: list[tuple[int, Policy]], later: list[tuple[int, bool]]
) -> None:
    told = told_of(values, policies)
    chorus = Chorus()
    chorus.follow(told)
    if not told or not chorus.says_all:
        return
    policy, now, more = told[-1].policy, told[-1].ts, list[Told]()
    for steps, down in later:
        now += steps * STEP
        more.append(Told(now, dict.fromkeys(chorus.last, down), policy))
    said = [policy.share(t.votes.items()) or (0.0, 0.0) for t in more]
    alone = [
        Observation(t.ts, down, policy.holds, None, unknown)
        for t, (down, unknown) in zip(more, said, strict=True)
    ]
    until = (now - T0) // STEP + 8
    since = (more[0].ts - T0) // STEP
    assert shares(chorus.follow(more), until)[since:] == shares(alone, until)[since:]


def agents(count: int, apart: float, down: tuple[float, float]) -> list[Told]:
    """One service each, pushed every 30 s, one agent after the other; service 0 is down in between. Seconds."""
    policy = Policy("push", timedelta(seconds=75))
    return sorted(
        (
            Told(
                T0 + timedelta(seconds=n * 30 + apart * agent),
                {("up", f"service-{agent}"): agent == 0 and down[0] <= n * 30 < down[1]},
                policy,
            )
            for n in range(120)
            for agent in range(count)
        ),
        key=lambda t: t.ts,
    )


@pytest.mark.parametrize("count", [1, 2, 4])
def test_an_outage_of_ten_minutes_is_ten_minutes_however_many_agents_push(count: int) -> None:
    told = agents(count, 5, (1200, 1800))
    spans = lay(Chorus().follow(told), told[-1].ts)
    downs = [s for s in spans if s.state is SpanState.DOWN]
    assert [(s.start, s.seconds, s.share) for s in downs] == [(T0 + timedelta(seconds=1200), 600, 1.0)]
    assert not [s for s in spans if s.state is SpanState.GAP]


def test_a_heartbeat_does_not_hide_what_the_application_says() -> None:
    policy = Policy("push", timedelta(seconds=75))
    told = []
    for n in range(60):
        told.append(Told(T0 + timedelta(seconds=n * 30), {("up", ""): False}, policy))
        failing = 20 <= n < 40
        told.append(Told(T0 + timedelta(seconds=n * 30 + 7), {("error_rate", "app"): failing}, policy))
    spans = lay(Chorus().follow(told), told[-1].ts)
    assert [(s.state, s.seconds) for s in spans if s.state is not SpanState.UP] == [(SpanState.DOWN, 600.0)]


def test_a_component_that_falls_silent_is_a_gap_and_is_forgotten_after_a_day() -> None:
    policy = Policy("push", timedelta(seconds=75))
    votes = {("up", "a"): False}
    silent_from = T0 + timedelta(hours=1, minutes=30)
    told = [Told(T0 + timedelta(seconds=30 * n), votes, policy) for n in range(30 * 120)]
    other = {("up", "b"): False}
    told = [t if t.ts > silent_from else Told(t.ts, votes | other, policy) for t in told]
    spans = lay(Chorus().follow(told), told[-1].ts)
    gap_from, gap_to = silent_from + timedelta(seconds=75), T0 + timedelta(hours=26)
    assert [(s.start, s.end) for s in spans if s.state is SpanState.GAP] == [(gap_from, gap_to)]
    assert {s.state for s in spans} == {SpanState.UP, SpanState.GAP}


EVERY_15_S = Policy("push", timedelta(seconds=37.5), age=timedelta())


def pods(*, until: Mapping[str, int], down: Mapping[str, int] | None = None, ends: End | None) -> list[Told]:
    """Pods that are scraped every 15 s for an hour, each until a second and from another on down; then their end."""
    found = []
    for second in range(0, 3600, 15):
        votes = {("up", pod): (down or {}).get(pod, 3600) <= second for pod in until if second < until[pod]}
        last = [("up", pod) for pod in until if until[pod] <= second < until[pod] + 15]
        if votes or (last and ends):
            gone = dict.fromkeys(last, ends is End.OVER) if ends else {}
            found.append(Told(T0 + timedelta(seconds=second), votes, EVERY_15_S, gone))
    return found


def stretches(told: Sequence[Told]) -> list[tuple[float, float, str]]:
    spans = lay(Chorus().follow(told), T0 + timedelta(hours=1))
    return [((s.start - T0).total_seconds(), (s.end - T0).total_seconds(), s.state) for s in spans]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (None, [(0, 922.5, "up"), (922.5, 3600, "gap")]),
        (End.SILENT, [(0, 900, "up"), (900, 3600, "gap")]),
        (End.OVER, [(0, 3600, "up")]),
    ],
)
def test_a_pod_that_goes_away_for_good_is_missed_no_more_and_one_that_is_not_found_from_then_on(
    ends: End | None, expected: list[tuple[float, float, str]]
) -> None:
    assert stretches(pods(until={"a": 3600, "b": 900}, ends=ends)) == expected


@pytest.mark.parametrize("ends", [End.OVER, End.SILENT])
def test_when_the_only_one_ends_nobody_knows_from_then_on_and_since_it_was_heard_there_is_doubt(
    ends: End,
) -> None:
    told = pods(until={"a": 900}, ends=ends)
    assert stretches(told) == [(0, 900, "up"), (900, 3600, "gap")]
    (up, gap) = lay(Chorus().follow(told), T0 + timedelta(hours=1))
    assert up.doubt_after == gap.doubt == 15


def test_an_outage_ends_with_the_pod_that_had_it() -> None:
    told = pods(until={"a": 3600, "b": 900}, down={"b": 600}, ends=End.OVER)
    assert stretches(told) == [(0, 600, "up"), (600, 900, "down"), (900, 3600, "up")]
    # When it came up, or was gone, since it was seen down last nobody knows.
    assert [s.doubt_after for s in lay(Chorus().follow(told), T0 + timedelta(hours=1))] == [15, 15, 0]


def test_a_pod_that_is_back_is_expected_again() -> None:
    told = pods(until={"a": 3600, "b": 900}, ends=End.OVER)
    back = Told(T0 + timedelta(seconds=1805), {("up", "b"): False}, EVERY_15_S)
    told = sorted([*told, back], key=lambda t: t.ts)
    assert stretches(told) == [(0, 1842.5, "up"), (1842.5, 3600, "gap")]


@pytest.mark.parametrize("kind", [("up", ""), ("error_rate", ""), ("error_rate", "a"), ("up", "a")])
@pytest.mark.parametrize("other", [("up", ""), ("error_rate", ""), ("up", "a"), ("up", "b")])
@pytest.mark.parametrize("down", [True, False])
def test_whatever_falls_silent_beside_another_voice_the_truth_is_within_the_bounds(
    kind: Voice, other: Voice, down: bool
) -> None:
    if kind == other:
        return
    policy, start, silent = Policy("push", timedelta(seconds=75)), T0 + timedelta(minutes=30), 45
    told = []
    for n in range(120):
        votes = {other: False}
        if n <= silent:
            votes[kind] = down and T0 + n * timedelta(minutes=1) >= start
        told.append(Told(T0 + n * timedelta(minutes=1), votes, policy))
    spans = lay(Chorus().follow(told), T0 + timedelta(hours=2))
    last = T0 + timedelta(minutes=silent, seconds=75)
    known = [(T0, start, "up"), (start, last, "down")] if down else [(T0, last, "up")]
    assert [(s.start, s.end, s.state) for s in spans] == [*known, (last, T0 + timedelta(hours=2), "gap")]
    # It may have been down from when it was last heard to the end, or never since.
    low, high = bounds(tally(spans, T0, T0 + timedelta(hours=2)))
    assert low is not None
    assert high is not None
    for minutes_down in (0, 73.75):
        truth = 1 - (down * 16.25 + minutes_down) / 120
        assert low - 0.001 <= truth <= high + 0.001


def test_of_several_kinds_about_a_service_that_has_a_weight_each_is_missed() -> None:
    policy = Policy("push", STEP, WEIGHTS)
    votes = {("up", "a"): False, ("up", "b"): False, ("error_rate", "a"): True}
    silent = {voice: down for voice, down in votes.items() if voice[0] == "up"}
    assert policy.share(votes.items(), votes) == (0.25, 0.0)
    assert policy.share(silent.items(), votes) == (0.0, 0.25)
    assert policy.share(silent.items(), silent) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("votes", "weights", "share"),
    [
        ({("up", ""): False}, None, (0.0, 0.0)),
        ({("up", ""): True}, None, (1.0, 0.0)),
        ({("up", ""): False, ("up", "callbot"): True}, None, (1.0, 0.0)),
        ({("up", "chatbot"): False, ("up", "callbot"): True}, None, (1.0, 0.0)),
        ({("up", "chatbot"): False, ("error_rate", "chatbot"): True}, None, (1.0, 0.0)),
        ({("up", "chatbot"): False, ("up", "callbot"): False}, WEIGHTS, None),
        ({("up", "a"): False, ("up", "b"): False}, WEIGHTS, (0.0, 0.0)),
        ({("up", "a"): True, ("up", "b"): False}, WEIGHTS, (0.25, 0.0)),
        ({("up", "a"): False, ("up", "b"): True, ("up", "c"): True}, WEIGHTS, (0.75, 0.0)),
        ({("up", "a"): False, ("error_rate", "a"): True, ("up", "b"): False}, WEIGHTS, (0.25, 0.0)),
        ({("up", "a"): True, ("up", "b"): True}, WEIGHTS, (1.0, 0.0)),
        # What is silent is unknown for its part.
        ({("up", "a"): False}, WEIGHTS, (0.0, 0.75)),
        ({("up", "b"): True}, WEIGHTS, (0.75, 0.25)),
        ({("up", ""): True}, WEIGHTS, None),
        ({}, None, None),
    ],
)
def test_how_much_is_down(
    votes: dict[Voice, bool], weights: dict[str, float] | None, share: Share | None
) -> None:
    policy = Policy("push", STEP, weights)
    assert policy.share(policy.counted(votes).items()) == share


def test_a_weight_that_is_nothing_beside_the_others_makes_nothing_known() -> None:
    policy = Policy("push", STEP, {"a": 1e-300, "b": 1e6})
    assert policy.share({("up", "a"): True}.items()) is None
    assert policy.share({("up", "b"): True}.items()) == (1.0, 0.0)


def test_a_source_that_knows_the_whole_decides_with_it() -> None:
    policy = Policy("simulator", STEP, whole_decides=True)
    votes = {("up", ""): False, ("up", "callbot"): True}
    assert policy.counted(votes) == {("up", ""): False}
    assert policy.share(votes.items()) == (0.0, 0.0)
