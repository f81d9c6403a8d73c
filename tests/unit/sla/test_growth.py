"""Counters against a world that knows every event: restarts, births, scrapes that fail, readings out of order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import nan

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ecpmon.model.maintenance import Accounting
from ecpmon.model.objectives import Counts, Hole
from ecpmon.sla.counters import MINUTE, Found, minute_of, request_minutes
from ecpmon.sla.growth import Begun, Reading, increases
from ecpmon.sla.ratios import Measured, Stretch, evaluate
from ecpmon.sla.tracks import Grown, Track, grew

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
STEP = timedelta(seconds=60)
HOLDS = timedelta(seconds=150)
END = T0 + timedelta(hours=10)
POD = frozenset({("pod", "a")})


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def readings(*points: tuple[float, float], holds: timedelta = HOLDS) -> list[Reading]:
    return [Reading(at(s), v, holds) for s, v in points]


def grown(*points: tuple[float, float], begun: Begun = ()) -> list[tuple[int, bool, bool]]:
    return [(i.count, i.reset, i.assumed) for i in increases(readings(*points), begun)]


def totals(found: Found) -> dict[int, tuple[int, int]]:
    """minute -> (good, total) where anything was counted"""
    return {(m - T0) // MINUTE: (c.good, c.total) for m, c in found.minutes.items() if c.good or c.total}


# --- slight falls --------------------------------------------------------------------------------------------------


def test_a_slight_fall_is_no_restart() -> None:
    assert grown((0, 500), (60, 499), (120, 500)) == [(0, False, False), (0, False, False)]
    # What follows counts from where the counter had been.
    assert grown((0, 500), (60, 499), (120, 510)) == [(0, False, False), (10, False, False)]
    assert grown((0, 480), (60, 500), (120, 499), (180, 520))[-1] == (20, False, False)


def test_a_fall_of_one_percent_or_more_is_taken_for_a_restart_and_flagged() -> None:
    assert grown((0, 500), (60, 495)) == [(495, True, True)]
    assert grown((0, 500), (60, 3), (120, 8)) == [(3, True, True), (5, False, False)]
    assert grown((0, 50), (60, 49)) == [(49, True, True)]


def test_a_slight_fall_by_more_than_usual_growth_is_taken_for_a_restart() -> None:
    assert grown((0, 10_000), (60, 10_005), (120, 9_990)) == [(5, False, False), (9_990, True, True)]
    assert grown((0, 10_000), (60, 10_020), (120, 10_010)) == [(20, False, False), (0, False, False)]


def test_a_counter_that_stays_where_it_fell_slightly_is_believed_after_a_while() -> None:
    found = grown((0, 500), (60, 499), (120, 499), (180, 499), (240, 505))
    assert [count for count, *_ in found] == [0, 0, 0, 6]


def test_what_a_series_tells_later_was_not_usual_before() -> None:
    later = Grown(Track(readings((90, 1_000), (150, 2_000), (210, 3_000)), whole=True))
    known = Grown(Track(readings((0, 10), (60, 15)), whole=True))
    assert grew([known, later], at(60), HOLDS) == 5


def test_what_says_when_it_began_is_believed() -> None:
    same = [(at(0), at(-900)), (at(60), at(-900)), (at(120), at(-900))]
    # However far it falls, it has not restarted.
    assert grown((0, 500), (60, 3), (120, 505), begun=same) == [(0, False, False), (5, False, False)]
    # It restarted, and has passed where it was.
    again = [(at(0), at(-900)), (at(60), at(10))]
    assert grown((0, 100), (60, 150), begun=again) == [(150, True, False)]
    # Only the later one is told: it began after the reading before.
    assert grown((0, 100), (60, 150), begun=[(at(60), at(10))]) == [(150, True, False)]
    assert grown((0, 100), (60, 150), begun=[(at(60), at(-10))]) == [(50, False, False)]


def test_assumed_restarts_are_in_the_figures_that_hold_them() -> None:
    tracks = [
        Track(readings((0, 500), (60, 3), (120, 8)), whole=True, part=True),
        Track(readings((0, 70), (60, 71), (120, 2))),
    ]
    found = request_minutes(tracks, True, T0, END)
    resets = {(m - T0) // MINUTE: c.resets for m, c in found.minutes.items() if c.resets}
    assert resets == {1: 1, 2: 1}
    whole = sum(found.minutes.values(), Counts())
    span = Stretch("1h", T0, T0 + timedelta(hours=1), ((at(60), at(120)),))
    planned = Measured(whole, found.minutes[at(60)])
    assert evaluate(span, planned, T0, 0.9).assumed_resets == 1
    assert evaluate(span, planned, T0, 0.9, accounting=Accounting.COUNT_AS_UP).assumed_resets == 2


# --- births --------------------------------------------------------------------------------------------------------


def test_the_first_reading_of_a_series_born_while_watched_is_growth() -> None:
    ok, bad = Track(readings((0, 100), (60, 110), (120, 120)), labels=POD), readings((120, 7))
    found = request_minutes([ok, Track(bad, whole=True, part=True, labels=POD)], True, T0, END)
    assert totals(found) == {1: (10, 10), 2: (10, 17)}
    # Also when it has a name of its own.
    found = request_minutes([ok, Track(bad, whole=False, part=True, labels=POD)], True, T0, END)
    assert totals(found) == {1: (10, 10), 2: (3, 10)}
    assert not found.holes


def test_the_first_reading_of_everything_counts_nothing() -> None:
    tracks = [Track(readings((0, 100))), Track(readings((0, 7)), whole=False, part=True)]
    assert totals(request_minutes(tracks, True, T0, END)) == {}


def test_what_cannot_have_gone_wrong_meanwhile_was_there_before() -> None:
    """Errors are read from now on, and have been counted for a month: ten requests cannot be 5,000 errors."""
    tracks = [
        Track(readings((0, 90_000), (60, 90_010))),
        Track(readings((60, 5_000), (120, 5_001)), whole=False, part=True),
    ]
    assert totals(request_minutes(tracks, True, T0, END)) == {1: (10, 10), 2: (-1, 0)}


def test_series_that_go_on_under_other_names_are_not_born() -> None:
    """Somebody has added a label: all series end, and others count on from where they were."""
    tracks = [
        Track(readings((0, 5_000), (60, 5_010))), Track(readings((0, 70), (60, 71))),
        Track(readings((120, 5_020), (180, 5_030))), Track(readings((120, 72), (180, 74))),
    ]  # fmt: skip
    assert totals(request_minutes(tracks, False, T0, END)) == {1: (0, 11), 3: (0, 12)}
    # The same where each process is read at instants of its own.
    tracks = [
        Track(readings((0, 5_000), (60, 5_010), (120, 5_020))), Track(readings((7, 900), (67, 910), (127, 920))),
        Track(readings((180, 5_030), (240, 5_040))), Track(readings((187, 930), (247, 940))),
    ]  # fmt: skip
    assert totals(request_minutes(tracks, False, T0, END)) == {1: (0, 20), 2: (0, 20), 4: (0, 20)}
    # A process that took another's place begins from zero.
    tracks = [Track(readings((0, 5_000), (60, 5_010), (120, 5_020))), Track(readings((180, 20), (240, 30)))]
    assert totals(request_minutes(tracks, False, T0, END)) == {1: (0, 10), 2: (0, 10), 3: (0, 20), 4: (0, 10)}


def test_other_counters_that_take_the_place_of_all_are_not_born() -> None:
    """The tenant's series come from elsewhere now, where they have counted for a month."""
    mine = [Track(readings((0, 100), (60, 110), (120, 120), (180, 130)))]
    others = [
        Track(readings((240, 8_000_000), (300, 8_000_020))),
        Track(readings((240, 90), (300, 91)), False, True),
    ]
    assert totals(request_minutes([*mine, *others], True, T0, END)) == {
        **dict.fromkeys((1, 2, 3), (10, 10)), 5: (19, 20)}  # fmt: skip
    # As many as there may have been meanwhile.
    fresh = [Track(readings((240, 190), (300, 210)))]
    assert totals(request_minutes([*mine, *fresh], True, T0, END))[4] == (190, 190)


def test_a_series_that_is_known_to_be_older_is_not_born() -> None:
    ok = Track(readings((0, 100), (60, 110), (120, 120)))
    older = Track(readings((120, 7_000)), old=True)
    told = Track(readings((120, 7_000)), begun=[(at(120), at(-5_000))])
    born = Track(readings((120, 7)), begun=[(at(120), at(100))])
    assert totals(request_minutes([ok, older], False, T0, END)) == {1: (0, 10), 2: (0, 10)}
    assert totals(request_minutes([ok, told], False, T0, END)) == {1: (0, 10), 2: (0, 10)}
    assert totals(request_minutes([ok, born], False, T0, END)) == {1: (0, 10), 2: (0, 17)}


def test_where_series_are_read_at_different_instants_one_is_born_after_some_watching() -> None:
    """The first one that is read does not make the second one, five seconds later, a newborn."""
    beginning = [Track(readings((0, 100), (60, 110))), Track(readings((5, 90_000), (65, 90_001)))]
    assert totals(request_minutes(beginning, False, T0, END)) == {1: (0, 11)}
    small = [Track(readings((0, 100), (60, 110))), Track(readings((5, 50), (65, 51)))]
    assert totals(request_minutes(small, False, T0, END)) == {1: (0, 11)}
    later = [Track(readings((0, 100), (60, 110), (120, 115), (180, 120))), Track(readings((185, 7)))]
    assert totals(request_minutes(later, False, T0, END))[3] == (0, 12)


# --- gaps ----------------------------------------------------------------------------------------------------------


def evaluated(
    found: Found, minutes: int, *planned: tuple[int, int], first: datetime = T0
) -> tuple[float, float]:
    """The bounds of the first minutes, some of which are maintenance."""
    pieces = tuple((T0 + a * MINUTE, T0 + b * MINUTE) for a, b in planned)
    span = Stretch("x", T0, T0 + minutes * MINUTE, pieces)
    result = evaluate(span, measured_in(found, span), first, 0.99)
    assert result.low is not None
    assert result.high is not None
    return result.low, result.high


def measured_in(found: Found, span: Stretch) -> Measured:
    def between(start: datetime, end: datetime) -> Counts:
        return sum((c for m, c in found.minutes.items() if start <= m < end), Counts())

    planned = sum((between(a, b) for a, b in span.maintenance), Counts())
    never = sum((between(a, b) for a, b in span.outside), Counts())
    holes = tuple(h for h in found.holes if span.concerns(h))
    return Measured(between(span.start, span.end) - never, planned, holes)


def test_a_gap_whose_counters_went_on_is_measured() -> None:
    """Half an hour was not read; the counters prove 99.8 %."""
    ok = readings(*((60 * i, 1000 + 10 * i) for i in range(61) if not 15 <= i < 45), (3600, 1600))
    bad = readings(*((60 * i, 0 if i < 45 else 1) for i in range(61) if not 15 <= i < 45))
    found = request_minutes([Track(ok), Track(bad, whole=False, part=True)], True, T0, END)
    low, high = evaluated(found, 60)
    assert low == high == pytest.approx(1 - 1 / 590)
    whole = sum(found.minutes.values(), Counts())
    # 14:00 to 45:00, of which the last reading had held 150 s.
    assert whole.bridged == (31 * 60 - 150) * 1_000_000


@pytest.mark.parametrize("after", [[(2700, 3)], [(2700, 1030), (3100, 40)], []])
def test_a_gap_in_which_a_counter_restarted_or_went_is_not(after: Sequence[tuple[float, float]]) -> None:
    steady = readings(*((60 * i, 10 * i) for i in range(61) if not 15 <= i < 45))
    other = readings(*((60 * i, 1000) for i in range(15)), *after)
    found = request_minutes([Track(steady), Track(other)], False, T0, END)
    bridged = sum(c.bridged for c in found.minutes.values())
    assert bridged == ((31 * 60 - 150) * 1_000_000 if len(after) == 2 else 0)


def test_a_gap_is_told_of_when_the_last_series_is_back() -> None:
    one, other = readings((0, 1), (600, 5)), readings((0, 1), (670, 5))
    found = request_minutes([Track(one), Track(other)], False, T0, END)
    assert {(m - T0) // MINUTE: c.bridged for m, c in found.minutes.items() if c.bridged} == {11: 450_000_000}
    assert Hole(at(150), at(670), 0, 0, 450_000_000) in found.holes


def test_growth_over_a_hole_that_maintenance_covers_partly_is_an_interval() -> None:
    ok = readings((0, 0), (60, 100), (120, 200), (720, 1200), (780, 1300))
    bad = readings((0, 0), (60, 0), (120, 0), (720, 50), (780, 50))
    found = request_minutes([Track(ok), Track(bad, whole=False, part=True)], True, T0, END)
    # Of (2:00, 12:00], [3:00, 8:00) is planned: 1,000 requests, and 50 errors, on either side.
    assert evaluated(found, 14, (3, 8)) == (pytest.approx(300 / 350), 1.0)
    # All of it, with the minute that told: nothing is in doubt.
    assert evaluated(found, 14, (2, 13)) == (1.0, 1.0)
    # None of it.
    assert evaluated(found, 14, (1, 2)) == (pytest.approx(1150 / 1200), pytest.approx(1150 / 1200))


@dataclass
class World:
    """Processes that count, and who reads them once a minute, just before it is over; or does not.

    Everything happens before that, so that a minute's events are what the minute's reading tells.
    """

    total: dict[int, dict[int, int]] = field(default_factory=dict)
    bad: dict[int, dict[int, int]] = field(default_factory=dict)
    # Of each minute that is over, whatever was read: (requests, errors).
    truth: list[tuple[int, int]] = field(default_factory=list)

    def tracks(self) -> list[Track]:
        def track(name: int, points: dict[int, int], *, whole: bool) -> Track:
            found = readings(*((60 * minute + 59, value) for minute, value in points.items()))
            return Track(found, whole, not whole, labels=frozenset({("pod", str(name))}))

        wholes = [track(name, points, whole=True) for name, points in self.total.items()]
        return wholes + [track(name, points, whole=False) for name, points in self.bad.items()]


LENGTH = 40


@st.composite
def worlds(draw: st.DrawFn, restarts: bool = False) -> World:
    """One process goes on for ever; others come and go, and go while they are read: what a process has counted since
    it was read last goes with it. Error counters are born with their first error."""
    world = World()
    blind = {m for a, b in draw(st.lists(st.tuples(st.integers(2, 36), st.sampled_from([0, 3, 5, 12])), max_size=3))
             for m in range(a, a + b)}  # fmt: skip
    alive: dict[int, list[int]] = {0: [draw(st.integers(0, 10**6)), 0]}
    for minute in range(LENGTH):
        if restarts and minute > 2 and draw(st.integers(0, 9)) == 0:
            alive[len(world.total) + minute * 100] = [0, 0]
        read_before = minute not in blind and minute - 1 not in blind
        if restarts and read_before and len(alive) > 1 and draw(st.integers(0, 14)) == 0:
            del alive[max(alive)]
        requests = errors = 0
        for name, counter in alive.items():
            more = draw(st.integers(0, 30))
            wrong = draw(st.integers(0, more)) if draw(st.booleans()) else 0
            counter[0] += more
            counter[1] += wrong
            requests, errors = requests + more, errors + wrong
            if minute not in blind:
                world.total.setdefault(name, {})[minute] = counter[0]
                if counter[1]:
                    world.bad.setdefault(name, {})[minute] = counter[1]
        world.truth.append((requests, errors))
    return world


@settings(deadline=None, max_examples=80)
@given(worlds())
def test_one_process_is_counted_to_the_event_whatever_was_not_read(world: World) -> None:
    """No restart: after the first reading everything is counted, and nobody doubts it."""
    found = request_minutes(world.tracks(), True, T0, END)
    last = max(world.total[0])
    first = min(world.bad[0], default=last) if world.bad else last
    # What went wrong in the first minute, before anything was read, is nobody's.
    assume(first > 0)
    whole = sum(found.minutes.values(), Counts())
    assert whole.total == sum(t for t, _ in world.truth[1 : last + 1])
    assert whole.bad == sum(b for _, b in world.truth[1 : last + 1])
    assert whole.resets == 0
    if whole.total and last == LENGTH - 1:
        low, high = evaluated(found, LENGTH + 0, first=at(59))
        assert low == high == pytest.approx((whole.total - whole.bad) / whole.total)


@settings(deadline=None, max_examples=80)
@given(worlds(restarts=True), st.integers(1, 30), st.integers(0, 12))
def test_the_truth_outside_of_maintenance_is_within_the_bounds(world: World, begins: int, lasts: int) -> None:
    """Also where nobody read while maintenance began or ended, and processes come and go."""
    last = max(world.total[0])
    assume(last == LENGTH - 1)
    assume(not any(points.get(0) for points in world.bad.values()))
    planned = range(begins, min(begins + lasts, LENGTH))
    found = request_minutes(world.tracks(), True, T0, END)
    eligible = [world.truth[m] for m in range(1, LENGTH) if m not in planned]
    requests, errors = sum(t for t, _ in eligible), sum(b for _, b in eligible)
    span = Stretch("x", T0, T0 + LENGTH * MINUTE, ((T0 + planned.start * MINUTE, T0 + planned.stop * MINUTE),)
                   if planned else ())  # fmt: skip
    result = evaluate(span, measured_in(found, span), at(59), 0.99)
    if requests and result.low is not None and result.high is not None:
        assert result.low - 1e-9 <= 1 - errors / requests <= result.high + 1e-9


@settings(deadline=None, max_examples=120)
@given(
    worlds(restarts=True), st.lists(st.integers(1, LENGTH), min_size=4, max_size=4, unique=True).map(sorted),
    st.booleans(), st.sampled_from(Accounting),
)  # fmt: skip
def test_the_truth_within_the_service_hours_is_within_the_bounds(
    world: World, edges: list[int], swapped: bool, rule: Accounting
) -> None:
    last = max(world.total[0])
    assume(last == LENGTH - 1)
    assume(not any(points.get(0) for points in world.bad.values()))
    off, planned = range(*edges[:2]), range(*edges[2:])
    off, planned = (planned, off) if swapped else (off, planned)
    found = request_minutes(world.tracks(), True, T0, END)
    taken_out = {off} if rule is Accounting.COUNT_AS_UP else {off, planned}
    eligible = [m for m in range(1, LENGTH) if not any(m in part for part in taken_out)]
    requests = sum(world.truth[m][0] for m in eligible)
    errors = sum(world.truth[m][1] for m in eligible if m not in planned)
    span = Stretch("x", T0, T0 + LENGTH * MINUTE, _instants(planned), _instants(off))
    result = evaluate(span, measured_in(found, span), at(59), 0.99, accounting=rule)
    assert result.eligible == 60 * len(eligible) + (1 if 0 not in off else 0)
    if requests and result.low is not None and result.high is not None:
        assert result.low - 1e-9 <= 1 - errors / requests <= result.high + 1e-9


def _instants(minutes: range) -> tuple[tuple[datetime, datetime], ...]:
    return ((T0 + minutes.start * MINUTE, T0 + minutes.stop * MINUTE),) if minutes else ()


@settings(deadline=None, max_examples=80)
@given(worlds(restarts=True), st.integers(0, LENGTH), st.integers(1, LENGTH))
def test_a_stretch_counted_by_itself_is_what_counting_everything_gives(
    world: World, begins: int, lasts: int
) -> None:
    start, end = T0 + begins * MINUTE, T0 + (begins + lasts) * MINUTE
    everything = request_minutes(world.tracks(), True, T0 - STEP, END)
    near = []
    for track in world.tracks():
        old = [r for r in track.readings if r.ts < start - 5 * HOLDS][-1:]
        fresh = [r for r in track.readings if start - 5 * HOLDS <= r.ts < end]
        near.append(Track([*old, *fresh], track.whole, track.part, labels=track.labels))
    found = request_minutes([t for t in near if t.readings], True, start, end)
    assert found.holes == tuple(h for h in everything.holes if start <= h.end < end)
    holding = {m for m, c in everything.minutes.items() if start <= m < end and c != Counts()}
    assert {m for m, c in found.minutes.items() if c != Counts()} == holding
    assert all(found.minutes[m] == everything.minutes[m] for m in holding)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=2, max_size=30),
    st.integers(10_000, 10**6),
)
def test_readings_out_of_order_change_nothing(steps: list[tuple[int, int]], begins: int) -> None:
    """Now and then the reading before comes again, under a later instant."""
    value, points, late = begins, [(0.0, float(begins))], False
    for index, (more, chance) in enumerate(steps, start=1):
        value += more
        stray = chance == 0 and not late and index > 1
        points.append((60.0 * index, points[-2][1] if stray else float(value)))
        late = stray
    assume(not late)
    truth = increases(readings(*points))
    assert not any(i.reset for i in truth)
    assert sum(i.count for i in truth) == value - begins


def test_markers_and_what_is_no_count_end_nothing() -> None:
    assert [i.count for i in increases(readings((0, 5), (60, nan), (120, -3), (600, 9)))] == [4]


def test_a_minute_is_that_of_the_later_reading() -> None:
    found = request_minutes([Track(readings((0, 1), (119, 4)))], False, T0, END)
    assert {m for m, c in found.minutes.items() if c.total} == {minute_of(at(119))}


def errors_away() -> Found:
    """Ten requests a minute; errors have a counter of their own, which was not read from 5 to 25, when 20 failed."""
    whole = readings(*((60 * n, 10 * n) for n in range(61)))
    bad = readings(*((60 * n, 5 if n <= 5 else 25) for n in range(61) if not 5 < n < 25))
    return request_minutes([Track(whole), Track(bad, whole=False, part=True)], True, T0, END)


@pytest.mark.parametrize(
    ("begins", "planned", "accounting", "bad"),
    [
        # They may have failed before the window began.
        (10, (), Accounting.EXCLUDE, (0, 20, 20)),
        # They are counted where maintenance was, and may have failed outside; and the other way round.
        (0, (24, 30), Accounting.EXCLUDE, (0, 0, 20)),
        (0, (10, 20), Accounting.EXCLUDE, (0, 20, 20)),
        (0, (24, 30), Accounting.COUNT_AS_UP, (0, 0, 20)),
        (0, (10, 20), Accounting.COUNT_AS_UP, (0, 20, 20)),
        (10, (24, 30), Accounting.COUNT_AS_UP, (0, 0, 20)),
        (10, (12, 20), Accounting.COUNT_AS_UP, (0, 20, 20)),
    ],
)
def test_errors_of_a_counter_of_their_own_that_was_away_leave_the_figure_within_its_bounds(
    begins: int, planned: tuple[int, ...], accounting: Accounting, bad: tuple[int, int, int]
) -> None:
    """`bad`: how many there were at least, by the figure, and at most."""
    pieces = ((T0 + planned[0] * MINUTE, T0 + planned[1] * MINUTE),) if planned else ()
    span = Stretch("x", T0 + begins * MINUTE, T0 + 60 * MINUTE, pieces)
    found = evaluate(span, measured_in(errors_away(), span), T0, 0.99, accounting=accounting)
    least, told, most = bad
    total = found.counts.total
    assert found.counts.bad == told
    assert found.high == pytest.approx((total - least) / total)
    assert found.low == pytest.approx((total - most) / total)


# --- found by random worlds (`test_counter_worlds.py`) ---------------------------------------------------------------


def test_a_bucket_that_has_passed_its_old_value_restarted_with_its_count() -> None:
    """100 requests, 10 of them fast; started anew, and 40 of 50 were fast."""
    count = Track(readings((0, 100), (60, 100), (120, 50)), process="h")
    bucket = Track(readings((0, 10), (60, 10), (120, 40)), whole=False, part=True, process="h")
    assert totals(request_minutes([count, bucket], False, T0, END)) == {2: (40, 50)}
    # The count has passed itself, the bucket tells.
    count = Track(readings((0, 100), (60, 100), (120, 150)), process="h")
    bucket = Track(readings((0, 90), (60, 90), (120, 20)), whole=False, part=True, process="h")
    assert totals(request_minutes([count, bucket], False, T0, END)) == {2: (20, 150)}
    # A page that came late: nobody restarted.
    count = Track(readings((0, 9_000), (60, 9_020), (120, 9_019), (180, 9_030)), process="h")
    bucket = Track(readings((0, 20), (60, 22), (120, 21), (180, 23)), whole=False, part=True, process="h")
    assert totals(request_minutes([count, bucket], False, T0, END)) == {1: (2, 20), 3: (1, 10)}


def test_errors_that_have_passed_their_old_number_when_the_total_restarts_are_in_the_bounds() -> None:
    """Three errors, and then five: it may be two more, or five since the restart."""
    total = Track(readings((0, 900), (60, 1_000), (120, 50)), labels=POD)
    errors = Track(readings((0, 3), (60, 3), (120, 5)), whole=False, part=True, labels=POD)
    found = request_minutes([total, errors], True, T0, END)
    assert totals(found) == {1: (100, 100), 2: (48, 50)}
    assert evaluated(found, 3) == (pytest.approx(145 / 150), pytest.approx(148 / 150))
    # A counter of another pod says nothing.
    other = Track(total.readings, labels=frozenset({("pod", "b")}))
    sure = request_minutes([other, errors], True, T0, END)
    assert not sure.holes


def test_errors_that_wait_for_their_first_one_since_a_restart_are_in_the_bounds() -> None:
    total = Track(readings(*((60 * n, 10 * n if n < 6 else 10 * n - 55) for n in range(13))), labels=POD)
    errors = Track(readings((0, 2), (60, 3), (120, 3), (720, 5)), whole=False, part=True, labels=POD)
    found = request_minutes([total, errors], True, T0, END)
    bad = sum(c.bad for c in found.minutes.values())
    all_of_them = sum(c.total for c in found.minutes.values())
    low, high = evaluated(found, 13)
    assert (bad, high) == (3, pytest.approx(1 - 3 / all_of_them))
    assert low == pytest.approx(1 - 6 / all_of_them)


def test_what_began_while_the_objective_was_watched_counts_however_late_it_is_read() -> None:
    """A pod that was there for two minutes before its first scrape came through."""
    ok = Track(readings(*((60 * n, 10 * n) for n in range(6))))
    late = Track(readings((240, 7)), begun=[(at(240), at(100))])
    found = request_minutes([ok, late], False, T0, END)
    assert totals(found)[4] == (0, 17)
    # When it was counted in this stretch alone, the objective is known to be older.
    alone = request_minutes([ok, late], False, at(240), at(300), watched=at(110))
    assert totals(alone)[4] == (0, 17)
    older = Track(readings((240, 7)), begun=[(at(240), at(-100))])
    assert totals(request_minutes([ok, older], False, T0, END))[4] == (0, 10)


def test_the_first_errors_of_a_pod_may_be_read_after_its_first_requests() -> None:
    """Twenty requests of a new pod failed, of which the scrape brought the errors a minute later."""
    old = Track(readings(*((60 * n, n) for n in range(9))))
    young = Track(readings((240, 20), (300, 21)), labels=POD)
    errors = Track(readings((300, 20)), whole=False, part=True, labels=POD)
    found = request_minutes([old, young, errors], True, T0, END)
    assert sum(c.bad for c in found.minutes.values()) == 20


def test_first_readings_that_may_be_growth_are_in_the_bounds() -> None:
    """A second pod, read five seconds after the first one, right at the beginning: who knows since when it counts."""
    first = Track(readings(*((60 * n, 10 * n) for n in range(5))))
    second = Track(readings(*((60 * n + 5, 50 + n) for n in range(5))), part=True)
    found = request_minutes([first, second], True, T0, END)
    assert (sum(c.total for c in found.minutes.values()), sum(c.bad for c in found.minutes.values())) == (
        44,
        4,
    )
    assert evaluated(found, 5) == (pytest.approx(40 / 94), pytest.approx(40 / 44))


def test_what_was_not_there_at_first_is_in_the_bounds_for_a_while() -> None:
    """A third pod, whose first scrape failed, or which has just begun: nobody knows."""
    first = [Track(readings(*((60 * n, begins + 10 * n) for n in range(5)))) for begins in (0, 10**9)]
    third = Track(readings((60, 3), (120, 3), (180, 3), (240, 3)), part=True, labels=POD)
    found = request_minutes([*first, third], True, T0, END)
    assert sum(c.total for c in found.minutes.values()) == 80
    assert evaluated(found, 5) == (pytest.approx(80 / 83), 1.0)
    # When it says itself when it began, everybody knows, as far as clocks agree.
    for began, total, low in ((30, 83, 80 / 83), (3, 80, 80 / 83), (-30, 80, 1.0)):
        told = Track(third.readings, True, True, [(at(60 * n), at(began)) for n in range(1, 5)])
        found = request_minutes([*first, told], True, T0, END)
        assert sum(c.total for c in found.minutes.values()) == total
        assert evaluated(found, 5)[0] == pytest.approx(low)


def test_a_pod_that_has_counted_for_long_and_was_not_read_is_not_born() -> None:
    """Ten requests a minute, 25 in what a reading holds; fourteen minutes later there is another one."""
    steady = Track(readings(*((60 * n, 10 * n) for n in range(20))))

    def beside(value: int, errors: int) -> Found:
        pod = Track(readings((840, value), (900, value)), labels=POD)
        failed = Track(readings((840, errors), (900, errors)), whole=False, part=True, labels=POD)
        return request_minutes([steady, pod, failed], True, T0, END)

    def counted(found: Found) -> tuple[int, int]:
        return sum(c.total for c in found.minutes.values()), sum(c.bad for c in found.minutes.values())

    # As many as there may have been meanwhile: up to ten times 30, two minutes and this one.
    assert counted(beside(300, 7)) == (490, 7)
    assert not beside(300, 7).holes
    # More than that, and nobody can say that there have not been.
    assert counted(beside(301, 7)) == (190, 0)
    assert evaluated(beside(301, 7), 20) == (pytest.approx(190 / 197), 1.0)
    # Much more: it is older, and so are its few errors.
    assert counted(beside(120_000, 7)) == (190, 0)
    assert not beside(120_000, 7).holes


def test_what_is_read_first_after_a_gap_may_have_been_born_in_it() -> None:
    """Nobody read for ten minutes; one is back two seconds before a new one is read, which has counted since long."""
    old = Track(readings(*((60 * n, 20 * n) for n in range(41) if not 10 < n < 20)))
    young = Track(readings(*((1202 + 60 * n, 149 + n) for n in range(20))), part=True, labels=POD)
    found = request_minutes([old, young], True, T0, END)
    assert totals(found)[20] == (200, 349)
    assert Hole(at(600), at(1202), 0, 149) in found.holes
    # Of a window that begins in the gap they may be no part.
    span = Stretch("x", at(900), at(2460))
    result = evaluate(span, measured_in(found, span), T0, 0.99)
    assert (result.low, result.high) == (pytest.approx(400 / 568), pytest.approx(600 / 619))


def test_what_is_told_at_an_edge_happened_before_it() -> None:
    """Nobody read until maintenance began; then 500 requests were told of, which were no part of it."""
    ok = readings((0, 0), (60, 100), (720, 600), (780, 700))
    bad = readings((0, 0), (60, 0), (720, 50), (780, 50))
    found = request_minutes([Track(ok), Track(bad, whole=False, part=True)], True, T0, END)
    low, high = evaluated(found, 14, (12, 13))
    assert (low, high) == (pytest.approx(200 / 250), 1.0)


def test_a_window_that_ended_in_a_hole_does_not_know_what_was_told_after_it() -> None:
    ok = readings((0, 0), (60, 100), (720, 600))
    bad = readings((0, 0), (60, 0), (720, 50))
    found = request_minutes([Track(ok), Track(bad, whole=False, part=True)], True, T0, END)
    low, high = evaluated(found, 6)
    assert low <= 100 / 150
    assert high == 1.0


def test_the_end_of_one_series_is_no_gap_while_others_hold() -> None:
    one = readings((0, 1), (60, 2), (90, nan))
    other = readings((10, 1), (70, 2), (130, 3), (190, 3))
    found = request_minutes([Track(one), Track(other)], False, T0, at(180))
    assert sum(c.observed for c in found.minutes.values()) == 180_000_000
