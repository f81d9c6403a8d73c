"""How old the newest sample of Prometheus is that we know of, over all phases of scrape and pull.

All in seconds. A target is scraped from `phase` on, a pull begins `offset` after each multiple of the interval. Which
instants a pull asks for is what the collector itself says (`spans_to_ask`); the clock is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ecpmon.collectors.prometheus import spans_to_ask
from ecpmon.model.samples import Source
from ecpmon.model.tenants import STALENESS_FACTOR
from ecpmon.sla.evidence import Intervals

DAY = timedelta(days=1)
T0 = 1_772_323_200  # a multiple of every interval
INTERVALS = (5, 15)
PULLS = 8


def heard(interval: int, offset: int, scrapes: list[float]) -> Iterator[tuple[float, float, float]]:
    """Of each pull: when it was, when the next is, and when the newest sample was taken that is known between them."""
    step = timedelta(seconds=interval)
    for number in range(PULLS):
        now = T0 + offset + number * interval
        [(_, until)] = spans_to_ask(None, datetime.fromtimestamp(now, UTC), step, DAY)
        if known := [at for at in scrapes if at <= until.timestamp()]:
            yield now, now + interval, known[-1]


def scraped(every: float, phase: float, until: float) -> list[float]:
    """From before the first pull on."""
    first = T0 - 3 * every + phase
    return [at for number in range(1_000) if (at := first + number * every) <= until]


def shown(interval: int) -> float:
    intervals = Intervals(timedelta(seconds=5), timedelta(seconds=interval))
    return intervals.shown(Source.PROMETHEUS, None).total_seconds()


@pytest.mark.parametrize("interval", INTERVALS)
def test_who_has_no_gap_is_never_shown_as_silent_whatever_the_phases_of_scrape_and_pull(
    interval: int,
) -> None:
    oldest = dict[float, float]()
    # As rarely as may be without a gap in the timeline: it is the same for them.
    for every in (interval, 2 * interval, STALENESS_FACTOR * interval):
        for phase in range(round(every)):
            scrapes = scraped(every, phase, T0 + (PULLS + 1) * interval)
            for offset in range(interval):
                ages = [following - taken for _, following, taken in heard(interval, offset, scrapes)]
                assert ages
                oldest[every] = max(oldest.get(every, 0.0), *ages)
    assert max(oldest.values()) <= shown(interval)
    # What an observation holds for in the past is too short for the present, and less than is given is as well.
    assert oldest[interval] > STALENESS_FACTOR * interval
    assert oldest[STALENESS_FACTOR * interval] > shown(interval) - 2


@pytest.mark.parametrize("interval", INTERVALS)
def test_an_outage_is_heard_of_within_two_intervals_and_two_seconds(interval: int) -> None:
    latest = 0.0
    for phase in range(interval):
        scrapes = scraped(interval, phase, T0 + PULLS * interval)
        down = next(at for at in scrapes if at >= T0 + interval)
        for offset in range(interval):
            told = next(now for now, _, taken in heard(interval, offset, scrapes) if taken >= down)
            latest = max(latest, told - down)
    assert 2 * interval <= latest <= 2 * interval + 2


@pytest.mark.parametrize(("interval", "soonest"), [(5, 24.5), (15, 69.5), (60, 272.0)])
def test_silence_is_shown_at_one_age_of_the_newest_sample_which_no_pull_can_belie(
    interval: int, soonest: float
) -> None:
    assert shown(interval) == soonest
    for phase in range(interval):
        last = T0 + 2 * interval + phase
        # One that would have come just in time to leave no gap, and did or did not.
        saving = last + STALENESS_FACTOR * interval
        for offset in range(interval):
            told = next(now for now, _, taken in heard(interval, offset, [last, saving]) if taken == saving)
            assert told <= last + soonest


def test_what_comes_by_itself_or_is_asked_for_as_it_is_now_is_shown_as_long_as_it_holds() -> None:
    intervals = Intervals(timedelta(seconds=5), timedelta(seconds=15))
    for source, seconds in ((Source.SIMULATOR, 12.5), (Source.PUSH, 150)):
        assert intervals.shown(source, None) == intervals.holds(source, None) == timedelta(seconds=seconds)
