"""For how long a tenant that is calm stays so, whatever time does to its totals. Pure, but for its memory.

At most ticks nothing has happened to a tenant but that time has passed. What that can do is bounded: within a reach of
time the window moves by as much, so no window's down time and gap fall by more, and only one of them grows, by as much;
what grows all the time does not fall. A rule that decides the same at every corner of these bounds decides the same
everywhere between them: what it compares is a burn rate, a coverage, or a budget, and it goes one way with each. What
was told before makes a burn rate less, and no coverage another. Invariant: of a tenant that rests, an evaluation would
store no change of state, and what goes on is not due.

Who is known in part only does not rest: of that, down time and gap grow both.

It rests as long as its timeline has the same outline: the same state since the same instant, which still holds, and
the same newest sums. A correction of the past that changes neither is seen at the end of the rest. Whose silence is
waited for rests until it has lasted long enough: nothing but an observation can make it shorter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Final

from ecpmon.alerts.judgement import BUDGET_MIN_HISTORY, Facts, judge, remembered
from ecpmon.model.alerts import RuleKind, RuleStatus
from ecpmon.model.availability import SpanState
from ecpmon.model.windows import Tally
from ecpmon.ports.alerts import RuleWithState
from ecpmon.ports.roster import Standing
from ecpmon.ports.sla import Outline
from ecpmon.sla import budgets, burn

REACH: Final = timedelta(minutes=5)
# For whom something may change by then, these are tried, one after the other: a window is about to be known too little
# of, or again, and of a crowd that fell silent together it is so of all.
SHORTER: Final = (timedelta(seconds=75), timedelta(seconds=20))
# Who may not rest is looked at anew after this.
AGAIN: Final = timedelta(seconds=20)
# Who rests for the first time does for one of so many parts of it, so that not all are looked at together ever after.
_TURNS: Final = 60
# Of seconds that are floats.
_INSTANT: Final = 0.001
_BOUNDED: Final = frozenset({RuleKind.BURN_RATE, RuleKind.BUDGET})
_CORNERS: Final = tuple(product((True, False), repeat=2))


@dataclass(frozen=True, slots=True)
class _Window:
    """What a window may be until the end of a reach. Of each pair the first is what is less: burning, or covered."""

    seconds: tuple[Tally, Tally]
    burn: tuple[float | None, float | None]
    coverage: tuple[float, float]
    failed: int


@dataclass(frozen=True, slots=True)
class Corner(Facts):
    """Facts as they may be until `reach` later. `burning`: with as much down as may be; `covered`: with as little gap.

    `grows`: what the time that comes is; None: up. `windows` is shared by the corners of a tenant.
    """

    reach: timedelta = REACH
    grows: SpanState | None = None
    burning: bool = True
    covered: bool = True
    windows: dict[timedelta, _Window] = field(default_factory=dict)

    def _window(self, length: timedelta) -> _Window:
        known = self.windows.get(length)
        if known is None:
            worst, best = self._bounds(length)
            known = self.windows[length] = _Window(
                (best, worst),
                (budgets.burn_rate(best, self.target), budgets.burn_rate(worst, self.target)),
                (_coverage(worst), _coverage(best)),
                self.record.failures(self.now - length, self.now, self.reach),
            )
        return known

    def _bounds(self, window: timedelta) -> tuple[Tally, Tally]:
        """The worst and the best of a window."""
        found, moved = self.record.tally(self.now - window, self.now), self.reach.total_seconds()
        down = found.down + (moved if self.grows is SpanState.DOWN else 0.0)
        gap = found.gap + (moved if self.grows is SpanState.GAP else 0.0)
        most = max(found.eligible, min(found.eligible + moved, window.total_seconds()))
        least_down = found.down if self.grows is SpanState.DOWN else max(found.down - moved, 0.0)
        least_gap = found.gap if self.grows is SpanState.GAP else max(found.gap - moved, 0.0)
        return Tally(found.eligible, down, gap), Tally(most, least_down, least_gap)

    def window_burn(self, window: timedelta, told: datetime | None = None) -> burn.WindowBurn:
        """What was told before only makes it less."""
        found = self._window(window)
        rate = found.burn[self.burning]
        if rate is None and self.burning and self.covered:
            rate = float("inf")
        return burn.WindowBurn(rate, found.coverage[self.covered], found.failed)

    def budget_remaining(self, window: timedelta) -> float | None:
        left = budgets.budget(self._window(window).seconds[self.burning], self.target).remaining_fraction
        return None if left is None else left * 100


def _coverage(seconds: Tally) -> float:
    return seconds.measured / seconds.eligible if seconds.eligible > 0 else 0.0


def rest_of(
    entries: Sequence[RuleWithState],
    facts: Facts,
    grows: SpanState | None,
    policies: Mapping[str, burn.BurnPolicy],
) -> timedelta | None:
    """For how long all these rules, which are calm now, are so when the timeline keeps its outline.

    None: that cannot be told. `grows`: what the time that comes is; None: up.
    """
    return next((r for r in (REACH, *SHORTER) if stays(entries, facts, grows, policies, r)), None)


def stays(
    entries: Sequence[RuleWithState],
    facts: Facts,
    grows: SpanState | None,
    policies: Mapping[str, burn.BurnPolicy],
    reach: timedelta = REACH,
) -> bool:
    """Whether they are so for `reach`."""
    lengths = {pair.long for policy in policies.values() for pair in policy.pairs} | {BUDGET_MIN_HISTORY}
    if any(facts.history < length <= facts.history + reach for length in lengths):
        return False
    windows: dict[timedelta, _Window] = {}
    corners = [
        Corner(
            facts.tenant, facts.now, facts.record, {}, facts.intervals, {},
            reach, grows, burning, covered, windows,
        )
        for burning, covered in _CORNERS
    ]  # fmt: skip
    return all(_is_steady(entry, facts, corners, policies) for entry in entries)


def _is_steady(
    entry: RuleWithState, facts: Facts, corners: Sequence[Corner], policies: Mapping[str, burn.BurnPolicy]
) -> bool:
    rule, state = entry.rule, entry.state
    if rule.kind is RuleKind.NO_DATA:
        return state.status is not RuleStatus.PENDING or _matures(entry) is not None
    if state.status is RuleStatus.PENDING:
        return False  # it is a matter of time
    if rule.kind is RuleKind.BURN_RATE:
        return _burns_alike(entry, facts, corners, policies)
    if rule.kind not in _BOUNDED:
        return False
    result = judge(rule, state, facts, policies).result
    return all(judge(rule, state, corner, policies).result is result for corner in corners)


def _burns_alike(
    entry: RuleWithState, facts: Facts, corners: Sequence[Corner], policies: Mapping[str, burn.BurnPolicy]
) -> bool:
    """As `judge` would find at each corner: most of what an evaluation takes is told here once for all of them."""
    rule, state = entry.rule, entry.state
    result = judge(rule, state, facts, policies).result
    try:
        policy = burn.reachable(policies[rule.policy or "page"], facts.target)
    except burn.PolicyError:
        return True  # it has nothing to say, whatever happens
    firing, history, remembers = (
        state.status is RuleStatus.FIRING,
        facts.history,
        remembered(state, facts.now),
    )
    for corner in corners:
        decision = burn.decide(policy, corner.window_burn, history, firing)
        if decision.fired is not result:
            return False
        # Without what was told before one may well be able to tell, unless there is nothing to tell it by.
        if result is None and remembers and not burn.is_blind(decision, policy.min_coverage):
            return False
    return True


def _matures(entry: RuleWithState) -> datetime | None:
    """When a pending rule whose condition goes on to hold has held for long enough; None: that cannot be told."""
    state = entry.state
    if state.status is not RuleStatus.PENDING or state.frozen or state.evaluated_at is None:
        return None
    return state.evaluated_at + (entry.rule.for_ - state.held)


@dataclass(slots=True, eq=False)
class _Rest:
    """Since `at`, until `until`; None: it does not, and is tried again."""

    standing: Standing
    # None: the tenant was never observed.
    outline: Outline | None
    at: datetime
    until: datetime | None
    # When what goes on is to be stored; None: nothing does.
    due: datetime | None
    # Whether it is silent: then only an observation can end that.
    silent: bool


class Rests:
    """Who rests, by the number of the tenant."""

    def __init__(self) -> None:
        self._held: dict[int, _Rest] = {}

    def __len__(self) -> int:
        return len(self._held)

    def keep_only(self, tenants: Collection[int]) -> None:
        self._held = {number: rest for number, rest in self._held.items() if number in tenants}

    def holds(self, tenant: int, standing: Standing, outline: Outline | None, now: datetime) -> bool:
        """Whether the tenant rests at `now`, and nothing of it is to be stored."""
        rest = self._held.get(tenant)
        # Asked of everybody at every tick: what is cheap comes first.
        if rest is None or rest.until is None or now >= rest.until:
            return False
        if rest.due is not None and now >= rest.due:
            return False
        return self._of(tenant, standing, outline, now) is not None

    def is_known(self, tenant: int, standing: Standing, outline: Outline | None, now: datetime) -> bool:
        """Whether it need not be found out now if the tenant rests: that is known, or was tried a moment ago."""
        rest = self._of(tenant, standing, outline, now)
        return rest is not None and now < (rest.at + AGAIN if rest.until is None else rest.until)

    def note(
        self,
        tenant: int,
        standing: Standing,
        outline: Outline | None,
        now: datetime,
        *,
        steady: timedelta | None,
    ) -> None:
        """`steady`: for so long time alone changes nothing, but that what is pending becomes due; None: that cannot be
        told."""
        until = None
        if steady is not None:
            rest = steady if tenant in self._held else steady * (1 - tenant % _TURNS / _TURNS)
            matures = (at for entry in standing.rules or () if (at := _matures(entry)) is not None)
            until = min([now + rest, *matures])
        silent = outline is not None and growing(outline, now) is SpanState.GAP
        self._held[tenant] = _Rest(standing, outline, now, until, None, silent)

    def note_due(self, tenant: int, due: datetime | None) -> None:
        """When what goes on of a tenant is to be stored."""
        if tenant in self._held:
            self._held[tenant].due = due

    def _of(self, tenant: int, standing: Standing, outline: Outline | None, now: datetime) -> _Rest | None:
        """What is known of the tenant as it is."""
        rest = self._held.get(tenant)
        if rest is None or now < rest.at or not _goes_on(rest, outline, now):
            return None
        if rest.standing is not standing:
            if not _is_alike(rest.standing, standing):
                return None
            rest.standing = standing
        return rest


def waits_for_nothing(entries: Sequence[RuleWithState]) -> bool:
    """Whether these rules say the same as long as a tenant is not observed at all."""
    kinds = {*_BOUNDED, RuleKind.NO_DATA}
    return all(e.rule.kind in kinds and e.state.status is not RuleStatus.PENDING for e in entries)


def growing(outline: Outline, now: datetime) -> SpanState | None:
    """What the time that comes is, unless an observation says otherwise; None: up."""
    if outline.expires < now.timestamp():
        return SpanState.GAP
    return SpanState.DOWN if outline.state == SpanState.DOWN else None


def _goes_on(rest: _Rest, outline: Outline | None, now: datetime) -> bool:
    """Whether nothing has happened but that time has passed, and the same was observed again."""
    if outline is None or rest.outline is None:
        return outline is rest.outline
    if rest.silent:
        return outline == rest.outline
    return outline.is_like(rest.outline) and outline.expires > now.timestamp() + _INSTANT


def _is_alike(before: Standing, after: Standing) -> bool:
    """Whether nothing is different but when rules were evaluated. With each state of an alert all is read again."""
    if before.tenant is not after.tenant and before.tenant != after.tenant:
        return False
    if before.planned is not after.planned and before.planned != after.planned:
        return False
    old, new = before.rules or (), after.rules or ()
    return len(old) == len(new) and all(map(_is_same, old, new))


def _is_same(before: RuleWithState, after: RuleWithState) -> bool:
    a, b = before.state, after.state
    if before.rule is not after.rule and before.rule != after.rule:
        return False
    return (a.status, a.frozen, a.since) == (b.status, b.frozen, b.since)
