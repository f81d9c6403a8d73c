"""How many changes a commit writes of one tenant is counted from the newest back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ecpmon.model.samples import Source
from ecpmon.storage.late import crowded_before
from ecpmon.storage.regimes import EvidenceValue, Regime

T0 = datetime(2026, 3, 1, tzinfo=UTC)
REGIMES = [Regime(T0 - timedelta(days=1), Source.PUSH, timedelta(seconds=5))]


def seen(seconds: float, value: float, source: Source = Source.PUSH) -> EvidenceValue:
    return T0 + timedelta(seconds=seconds), source, "up", "", value


def test_what_stays_as_it_is_is_no_change_however_much_it_is() -> None:
    assert crowded_before([seen(n, 1) for n in range(5_000)], REGIMES, 1) is None


def test_changes_and_gaps_are_counted_whatever_the_order() -> None:
    flaps = [seen(n, n % 2) for n in range(20)]
    assert crowded_before(flaps[::-1], REGIMES, 19) is None
    assert crowded_before(flaps[::-1], REGIMES, 4) == T0 + timedelta(seconds=15)
    silences = [seen(10 * n, 1) for n in range(20)]
    assert crowded_before(silences, REGIMES, 4) == T0 + timedelta(seconds=150)


def test_the_components_of_an_instant_stay_together() -> None:
    both = [
        (T0 + timedelta(seconds=n), Source.PUSH, "up", component, float(n % 2))
        for n in range(20)
        for component in ("a", "b")
    ]
    assert crowded_before(both, REGIMES, 2) == T0 + timedelta(seconds=18)
    assert crowded_before(both, REGIMES, 1) == T0 + timedelta(seconds=18)


def test_what_has_no_vote_does_not_count() -> None:
    assert crowded_before([seen(n, n % 2, Source.SIMULATOR) for n in range(20)], REGIMES, 4) is None


def test_another_value_that_means_the_same_is_no_change() -> None:
    rates = [(ts, source, "error_rate", "", n / 1_000) for n in range(400) for ts, source, *_ in [seen(n, 0)]]
    assert crowded_before(rates, REGIMES, 4) is None
    flaps = [(*value[:4], 0.9 if n % 2 else 0.1) for n, value in enumerate(rates)]
    assert crowded_before(flaps, REGIMES, 4) == T0 + timedelta(seconds=395)
