"""What is left out of evidence that says nothing new changes no timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import orjson
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.model.samples import Source
from ecpmon.sla.evidence import DEFAULT_RULES
from ecpmon.sla.spans import continued, lay, make_head
from ecpmon.sla.voices import Chorus, Told
from ecpmon.storage.alike import Alike, alike, says_who, standing_name
from ecpmon.storage.regimes import EvidenceValue, Regime, policy_of, told_by
from ecpmon.storage.voices import chorus_of, standing_of

T0 = datetime(2026, 3, 1, tzinfo=UTC)
PUSHED = Regime(T0 - timedelta(days=1), Source.PUSH, timedelta(seconds=5))
REGIMES = [
    [PUSHED],
    [PUSHED, Regime(T0 + timedelta(seconds=20), Source.SIMULATOR, timedelta(seconds=3))],
    [PUSHED, Regime(T0 + timedelta(seconds=20), Source.PUSH, timedelta(seconds=3))],
    [Regime(PUSHED.valid_from, Source.PUSH, PUSHED.holds, {"a": 1.0, "b": 2.0})],
    [Regime(PUSHED.valid_from, Source.PUSH, PUSHED.holds, None, timedelta())],
    [Regime(PUSHED.valid_from, Source.PUSH, PUSHED.holds, {"a": 1.0, "b": 1.0}, timedelta())],
]
VALUES = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: T0 + timedelta(seconds=n)),
        st.sampled_from([Source.PUSH, Source.PUSH, Source.PUSH, Source.SIMULATOR]),
        st.sampled_from(["up", "error_rate"]),
        st.sampled_from(["", "a", "b"]),
        st.sampled_from([0.0, 0.01, 1.0, 1.0]),
    ),
    max_size=60,
)


def crosses(told: list[Told]) -> bool:
    """Whether one voice comes up when another goes down, of those whose changes are in doubt."""
    return any(
        len({down for voice, down in b.votes.items() if a.votes.get(voice, down) is not down}) > 1
        for a, b in pairwise(told)
        if b.policy.age is not None
    )


@given(VALUES, st.sampled_from(REGIMES))
def test_instants_that_are_told_alike_say_by_themselves_what_all_voices_say(
    values: list[EvidenceValue], regimes: list[Regime]
) -> None:
    alone, told = alike(values, regimes, DEFAULT_RULES), told_by(values, regimes, DEFAULT_RULES)
    whole = Chorus().follow(told)
    if alone is None:
        assert len({(frozenset(t.votes), t.policy.holds) for t in told}) > 1 or not whole or crosses(told)
        return
    assert bool(whole) == bool(alone[1])
    if not whole:
        return
    runs, end = alone[1], T0 + timedelta(seconds=60)
    assert lay(runs, end) == lay(whole, end)
    assert (runs[0].ts, runs[-1]) == (whole[0].ts, whole[-1])
    heads = [None, make_head([], whole[0])[1]]
    for head in heads:
        assert continued(head, runs) == continued(head, whole)


@given(VALUES, st.sampled_from(REGIMES), st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=5))
def test_what_is_kept_of_the_voices_is_all_that_matters(
    values: list[EvidenceValue], regimes: list[Regime], more: list[float]
) -> None:
    told = told_by(values, regimes, DEFAULT_RULES)
    if not told:
        return
    chorus = Chorus()
    chorus.follow(told)
    standing = standing_of(chorus)
    last, names = told[-1], ("up", "b")
    following = [
        (last.ts + timedelta(seconds=2 * n + 2), Source(last.policy.source), *names, value)
        for n, value in enumerate(more)
    ]
    later = told_by(following, regimes, DEFAULT_RULES)
    alone = alike(following, regimes, DEFAULT_RULES)
    expected = Chorus.follow(chorus, later)
    if standing.voices is not None:
        kept = chorus_of(orjson.loads(orjson.dumps(standing.voices)), regimes)
        if kept.policy is not None:
            assert kept.follow(later) == expected
    elif alone is not None and alone.goes_on(standing.says):
        assert lay(alone[1], later[-1].ts) == lay(expected, later[-1].ts)


def test_a_long_time_of_one_state_is_two_observations() -> None:
    day = [(T0 + timedelta(seconds=n), Source.PUSH, "up", "", 1.0) for n in range(5_000)]
    alone = alike(day, [PUSHED], DEFAULT_RULES)
    assert alone is not None
    lone = alike(day[:1], [PUSHED], DEFAULT_RULES)
    assert lone is not None
    assert alone.says == lone.says
    assert [(seen.ts, seen.holds) for seen in alone.runs] == [
        (T0, timedelta(seconds=4_999)),
        (T0 + timedelta(seconds=4_999), timedelta(seconds=5)),
    ]


def test_names_of_voices_do_not_meet() -> None:
    policy, weighted = policy_of(PUSHED), policy_of(REGIMES[3][0])
    sets = [
        [("up", "")],
        [("up", "a")],
        [("up", "a"), ("up", "b")],
        [("up", "a 4 up.b")],
        [("error_rate", "a")],
    ]
    sets.append([("up", f"service-{n}") for n in range(100)])
    names = [says_who(p, voices) for p in (policy, weighted) for voices in sets]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 200


def test_who_is_down_of_several_is_part_of_their_name_where_changes_are_in_doubt() -> None:
    exact, doubted = policy_of(PUSHED), policy_of(REGIMES[-1][0])
    sets = [{("up", "a"): a, ("up", "b"): b} for a in (False, True) for b in (False, True)]
    assert len({standing_name(exact, votes) for votes in sets}) == 1
    names = [standing_name(doubted, votes) for votes in sets]
    assert names[0] == names[3] == says_who(doubted, sets[0])
    assert len(set(names)) == 3
    crossed = Alike(names[0], [], names[2], names[2])
    assert [crossed.goes_on(name) for name in (None, *names)] == [False, True, False, True, True]
