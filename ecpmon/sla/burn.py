"""Multi-window multi-burn-rate alerts: when an error budget is being spent too fast. Pure.

`burn = bad_fraction / (1 - target)`: 1 spends the budget exactly within the period. A pair of windows
trips when both burn faster than `factor = budget_share * period / long_window`: the long window says that
it matters, the short one that it still goes on.
Source: Google SRE workbook, "Alerting on SLOs", as in sloth's windows/google-30d.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from ecpmon.errors import ValidationFailed

SHORTEST_WINDOW: Final = timedelta(seconds=60)


class PolicyError(ValidationFailed):
    """A burn-rate policy or target that could never alert, or always would."""


class BurnReason(StrEnum):
    """Why a burn-rate alert is as it is. Shared by logs, metrics and tests."""

    FIRED = "fired"  # both windows exceed the factor
    HOLDING = "holding"  # fired before, the long window has not fallen under the factor
    RESOLVED = "resolved"  # fired before, the long window fell under the factor
    CALM = "calm"  # the long window is under the factor
    SHORT_WINDOW_CALM = "short_window_calm"  # it was bad, but is over
    TOO_FEW_FAILURES = "too_few_failures"  # one failed probe of few is no evidence
    NOT_ENOUGH_HISTORY = "not_enough_history"  # less than a full long window
    LOW_COVERAGE = "low_coverage"  # frozen: too much of a window was not measured
    NO_DATA = "no_data"  # frozen: a window has no burn rate at all


@dataclass(frozen=True, slots=True)
class WindowPair:
    """`budget_share` (0–1) of the period's budget spent within `long` trips it."""

    budget_share: float
    long: timedelta
    short: timedelta

    def factor(self, period: timedelta) -> float:
        """Burn rate to exceed; 14.4 for 2 % in 1 h of 30 d."""
        return self.budget_share * (period / self.long)


@dataclass(frozen=True, slots=True)
class BurnPolicy:
    """One alert: its pairs are OR-ed. `source` says where the numbers come from."""

    name: str
    severity: str
    period: timedelta
    pairs: tuple[WindowPair, ...]
    min_failed_observations: int
    min_coverage: float
    source: str
    # For promises of requests: so many bad ones are evidence.
    min_bad_events: int = 1

    def __hash__(self) -> int:
        """It is looked up by at every evaluation: what tells most policies apart has to do."""
        return hash((self.name, self.period))

    def with_period(self, period: timedelta) -> BurnPolicy:
        """The same budget shares over another period; the factors follow."""
        return replace(self, period=period)


@dataclass(frozen=True, slots=True)
class WindowBurn:
    """Measured over one window. `burn` None: nothing measured; `coverage` = measured / eligible, 0–1."""

    burn: float | None
    coverage: float
    failed_observations: int


@dataclass(frozen=True, slots=True)
class BurnDecision:
    """`fired` None: frozen. The rest is the evidence of the pair that decided."""

    fired: bool | None
    reason: BurnReason
    pair: WindowPair
    factor: float
    long: WindowBurn
    short: WindowBurn


def check_target(target: float) -> float:
    """`target` as a fraction between 0 and 1, both excluded. Raises PolicyError."""
    if math.isnan(target) or not 0 < target < 1:
        raise PolicyError(f"a target must lie between 0 and 100 %, both excluded; it is {target * 100:g} %")
    return target


def check_policy(policy: BurnPolicy, target: float) -> None:
    """Refuse what cannot work with this `target` (fraction). Raises PolicyError, which names the pair."""
    highest = 1 / (1 - check_target(target))
    if not policy.pairs:
        raise PolicyError(f"policy {policy.name!r} has no window pairs")
    if min(policy.min_failed_observations, policy.min_bad_events) < 1 or not 0 < policy.min_coverage <= 1:
        raise PolicyError(
            f"policy {policy.name!r}: at least one failed observation and a coverage in (0, 1] are needed"
        )
    for pair in policy.pairs:
        if problem := _pair_problem(pair, policy.period) or _unreachable(pair, policy.period, highest):
            raise PolicyError(f"policy {policy.name!r}, pair {_label(pair)}: {problem}")


@lru_cache(maxsize=1024)
def reachable(policy: BurnPolicy, target: float) -> BurnPolicy:
    """`policy` without the pairs that no outage could trip at `target` (a 90 % target burns 10 at most).

    Raises PolicyError when none is left or another rule of `check_policy` is broken.
    """
    highest = 1 / (1 - check_target(target))
    kept = tuple(pair for pair in policy.pairs if not _unreachable(pair, policy.period, highest))
    if not kept:
        check_policy(policy, target)
    fitting = replace(policy, pairs=kept)
    check_policy(fitting, target)
    return fitting


def evaluate(
    policy: BurnPolicy,
    target: float,
    burn_of: Callable[[timedelta], WindowBurn],
    history: timedelta,
    firing: bool,
) -> BurnDecision:
    """Whether the alert stands now.

    `burn_of(window)` measures the window that ends at the evaluation (after a resolution: without the failures that
    were told before, see `alerts.judgement.told_until`); `history` is the time since the first
    observation; `firing` is the state before. One pair that trips is enough; while none does, a pair that
    cannot be decided freezes the alert. A pair without a full long window of history has no vote, and
    an alert that fires while no pair has one is frozen: vanished history does not resolve it.
    Raises PolicyError as `check_policy`.
    """
    check_policy(policy, target)
    return decide(policy, burn_of, history, firing)


def decide(
    policy: BurnPolicy, burn_of: Callable[[timedelta], WindowBurn], history: timedelta, firing: bool
) -> BurnDecision:
    """As `evaluate`, by a policy that was checked, as those that are `reachable` were."""
    decisions = [_decide(policy, pair, burn_of, history, firing) for pair in policy.pairs]
    voting = [item for item in decisions if item.reason is not BurnReason.NOT_ENOUGH_HISTORY]
    if not voting:
        return replace(decisions[0], fired=None) if firing else decisions[0]
    for wanted in (True, None):
        for decision in voting:
            if decision.fired is wanted:
                return decision
    return voting[0]


def _decide(
    policy: BurnPolicy,
    pair: WindowPair,
    burn_of: Callable[[timedelta], WindowBurn],
    history: timedelta,
    firing: bool,
) -> BurnDecision:
    factor = pair.factor(policy.period)
    long, short = burn_of(pair.long), burn_of(pair.short)
    fired: bool | None
    if history < pair.long:
        fired, reason = False, BurnReason.NOT_ENOUGH_HISTORY
    elif firing:
        fired, reason = _resolve(long, factor, policy.min_coverage)
    else:
        fired, reason = _fire(long, short, factor, policy)
    return BurnDecision(fired, reason, pair, factor, long, short)


def _fire(
    long: WindowBurn, short: WindowBurn, factor: float, policy: BurnPolicy
) -> tuple[bool | None, BurnReason]:
    """A window known to be calm settles it, whatever is missing in the other."""
    long_blind, short_blind = _blind(long, policy.min_coverage), _blind(short, policy.min_coverage)
    if not long_blind and not _exceeds(long, factor):
        return False, BurnReason.CALM
    if not short_blind and not _exceeds(short, factor):
        return False, BurnReason.SHORT_WINDOW_CALM
    if reason := long_blind or short_blind:
        return None, reason
    if short.failed_observations < policy.min_failed_observations:
        return False, BurnReason.TOO_FEW_FAILURES
    return True, BurnReason.FIRED


def is_blind(decision: BurnDecision, min_coverage: float) -> bool:
    """Whether neither window of the pair that decided says anything: then nobody can tell, whatever was bad."""
    return bool(_blind(decision.long, min_coverage) and _blind(decision.short, min_coverage))


def _resolve(long: WindowBurn, factor: float, min_coverage: float) -> tuple[bool | None, BurnReason]:
    if reason := _blind(long, min_coverage):
        return None, reason
    if long.burn is not None and long.burn >= factor:
        return True, BurnReason.HOLDING
    return False, BurnReason.RESOLVED


def _blind(window: WindowBurn, min_coverage: float) -> BurnReason | None:
    if window.burn is None or math.isnan(window.burn):
        return BurnReason.NO_DATA
    return BurnReason.LOW_COVERAGE if window.coverage < min_coverage else None


def _exceeds(window: WindowBurn, factor: float) -> bool:
    return window.burn is not None and window.burn > factor


def _pair_problem(pair: WindowPair, period: timedelta) -> str | None:
    if not 0 < pair.budget_share <= 1:
        return "the budget share must lie in (0, 1]"
    if pair.short < SHORTEST_WINDOW:
        return "the short window is under 60 s"
    if not pair.short < pair.long <= period:
        return "the short window must be shorter than the long one, and the long one fit into the period"
    return None


def _unreachable(pair: WindowPair, period: timedelta, highest: float) -> str | None:
    factor = pair.factor(period)
    if factor < highest:
        return None
    return f"its factor {factor:g} is never exceeded: a full outage burns {highest:g} times at this target"


def _label(pair: WindowPair) -> str:
    return f"{pair.long}/{pair.short}"
