"""Several voices of one tenant become one state. Pure.

A *voice* is one kind of evidence (`up` or `error_rate`) about one component; component "" is the tenant as a whole.

A voice may say that it ends: it is silent from now on (a scrape found it no more), or it is over (what it was about is
there no more, such as a pod). Its states:

    unheard ── value ──► holding ── silent, or `Policy.holds` over ──► missed ── a day over ──► unheard
       ▲                  │    ▲                                       │    │
       └────── over ──────┘    └──────────────── value ────────────────┘    └────── over ─────► unheard

Formula, of the last value of a voice, said at `s`, for any `t` from `s` on:

    holds at t     =  t < s + Policy.holds      and it said neither `silent` nor `over` in (s, t]
    is expected    =  t < expected_until(s)     and it did not say `over` in (s, t]

Invariants:
- A voice holds its last value until its own next one or its end, at most for `Policy.holds`; what another voice says
  does not end it. Only a change of the source of evidence ends all of them.
- A voice is expected from its first value until it is over, or has been silent for `FORGOTTEN`, counted from the end of
  the hour of its last value (`expected_until`). So what is expected follows from what was said alone, in whatever order
  it came; of a value and an end at one instant the value counts.
- A component's vote: down if any of its voices that hold says down; else unknown if one that is expected holds no
  more; else up if any holds, else unknown. "" votes alike.
- Without weights: down if any votes down; else unknown if one that is expected is unknown; else up if any votes up;
  else unknown. So the `up` of "" hides none that is down, and of none that is silent is it known that it is up. Where
  `whole_decides` (sources that know the whole: they pull all voices in one instant), "" alone decides while it holds.
- With weights: the components with a weight are expected always, nobody else counts; down is the share of those that
  are down, unknown the share of those that are unknown.
- Observations lie where a value was heard, and where a voice falls silent, or ends, and others still say something
  else. Each holds until the state changes, also when that is by silence. What lies before the first is unknown.
- Where every instant is told by the same voices, and these are all there are, this is what each instant says by itself,
  as long as none that was down comes up when another goes down.
- Between two states that differ in both directions lie those of `sla.crossings`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ecpmon.model.availability import Observation
from ecpmon.sla.crossings import TICK, Heard, Held, Share, Voice, passed_through

UP: Final[Share] = (0.0, 0.0)
DOWN: Final[Share] = (1.0, 0.0)
FORGOTTEN: Final = timedelta(hours=24)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Policy:
    """How what is heard of a tenant becomes its state. `source`: whose voices they are."""

    source: str
    holds: timedelta
    weights: Mapping[str, float] | None = None
    whole_decides: bool = False
    # How old what is told may be; None: changes are told at their instants.
    age: timedelta | None = None

    def counts(self, voice: Voice) -> bool:
        """Whether what it is about can matter."""
        return self.weights is None or voice[1] in self.weights

    def counted(self, votes: Mapping[Voice, bool]) -> Mapping[Voice, bool]:
        """Those votes (is it down?) of one instant that can matter."""
        if self.weights is not None:
            return {voice: down for voice, down in votes.items() if self.counts(voice)}
        if self.whole_decides and (whole := {v: down for v, down in votes.items() if not v[1]}):
            return whole
        return votes

    def share(self, votes: Iterable[tuple[Voice, bool]], expected: Collection[Voice] = ()) -> Share | None:
        """How much of the tenant is down by what holds, and unknown; None: nothing is known."""
        holding = dict(votes)
        missed = {voice[1] for voice in expected if voice not in holding}
        known: dict[str, bool] = {}
        for (_, component), down in holding.items():
            if down or component not in missed:
                known[component] = known.get(component, False) or down
        if self.weights is not None:
            return _weighted(known, self.weights)
        if self.whole_decides and any(not component for _, component in holding):
            return (DOWN if known[""] else UP) if "" in known else None
        if any(known.values()):
            return DOWN
        return UP if known and not missed else None

    def deciding(self, held: Mapping[Voice, Held], missed: Collection[Voice]) -> Heard:
        """Those that `share` looks at."""
        if self.weights is None and self.whole_decides and any(not component for _, component in held):
            return {v: own for v, own in held.items() if not v[1]}, [v for v in missed if not v[1]]
        return held, missed


def _weighted(known: Mapping[str, bool], weights: Mapping[str, float]) -> Share | None:
    silent = [weight for component, weight in weights.items() if component not in known]
    if len(silent) == len(weights):
        return None
    down = [weight for component, weight in weights.items() if known.get(component)]
    # All of them is exactly 1, whatever the weights add up to in floats.
    if len(down) == len(weights):
        return DOWN
    whole = sum(weights.values())
    failed = sum(down) / whole
    unknown = min(sum(silent) / whole, 1 - failed)
    # What weighs so little beside the others that floats do not tell it is nothing.
    return None if unknown == 1.0 else (failed, unknown)


@dataclass(frozen=True, slots=True)
class Told:
    """What was heard at one instant: the votes that count (is it down?), by voice; and which other voices end (for
    good?). At least one of both."""

    ts: datetime
    votes: Mapping[Voice, bool]
    policy: Policy
    ends: Mapping[Voice, bool] = field(default_factory=dict)


def hour_after(at: datetime) -> datetime:
    """The end of the UTC hour that holds `at`."""
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR


def expected_until(at: datetime) -> datetime:
    """Until when a voice heard at `at` is expected to be heard again."""
    return hour_after(at) + FORGOTTEN


def expected_before(at: datetime) -> datetime:
    """What was said earlier is expected no more at `at`, or after it."""
    return at - FORGOTTEN - _HOUR


@dataclass(slots=True)
class _Said:
    """An observation under way. `end` None: it goes on."""

    ts: datetime
    share: Share
    age: timedelta | None
    end: datetime | None = None

    def until(self, end: datetime) -> Observation:
        down, unknown = self.share
        return Observation(self.ts, down, end - self.ts, self.age, unknown)


@dataclass(slots=True)
class Chorus:
    """All voices of a tenant as they stand at `newest`, the last instant at which any was heard.

    `open`: what each said last. `expected`: until when each voice is, by source.
    """

    policy: Policy | None = None
    newest: datetime | None = None
    open: dict[Voice, Held] = field(default_factory=dict)
    expected: dict[tuple[str, Voice], datetime] = field(default_factory=dict)
    # Those that spoke at `newest`.
    last: frozenset[Voice] = frozenset()
    _soonest: datetime | None = None

    def follow(
        self, told: Iterable[Told], current: Observation | None = None, until: datetime | None = None
    ) -> list[Observation]:
        """What they say together from `newest` on, when that is heard (in order, all after `newest`).

        `current`: the last observation, if it holds beyond `newest`; it comes first in what is returned, as it may
        hold for less or more time now. `until`: nothing is heard up to then, so what silence changes is told as well.
        """
        said = [] if current is None else [_Said(current.ts, (current.share, current.unknown), current.age)]
        self._soonest = self._next_change()
        for each in told:
            self._fall_silent(each.ts, said)
            before = self._standing(each.ts - TICK) if each.policy == self.policy else None
            self._hear(each)
            self._pass_through(before, each.ts, said)
            self._say(each.ts, said, anew=bool(each.votes))
        if until is not None:
            self._fall_silent(until + TICK, said)
        self._goes_on(said)
        return [s.until(s.end) for s in said if s.end is not None]

    @property
    def says_all(self) -> bool:
        """Whether the voices that spoke last are all there are."""
        policy, newest = self.policy, self.newest
        if policy is None or newest is None or self._share(newest) is None:
            return False
        expected = self._expected(newest)
        if policy.whole_decides and policy.weights is None and any(not of for _, of in self.last):
            expected = [voice for voice in expected if not voice[1]]
        return all(voice in self.last for voice in (*self.open, *expected))

    def _expected(self, at: datetime) -> list[Voice]:
        """Those that count and are expected at `at`."""
        if self.policy is None:
            return []
        source, weights = self.policy.source, self.policy.weights
        return [
            voice
            for (of, voice), until in self.expected.items()
            if until > at and of == source and (weights is None or voice[1] in weights)
        ]

    def _share(self, at: datetime) -> Share | None:
        if self.policy is None:
            return None
        holding = ((voice, held.down) for voice, held in self.open.items() if held.until > at)
        return self.policy.share(holding, self._expected(at))

    def _age(self, at: datetime) -> timedelta | None:
        """How old what holds may be: that of the voice that was heard longest ago, as it may have changed since."""
        if self.policy is None or self.policy.age is None:
            return None
        return at - min(held.seen_at for held in self.open.values() if held.until > at)

    def _standing(self, at: datetime) -> Heard | None:
        """What holds at `at`, and who is missed; None where it is the same whoever changes: nobody has doubts, or all
        are well."""
        if self.policy is None or self.policy.age is None:
            return None
        held = {voice: own for voice, own in self.open.items() if own.until > at}
        if self.policy.weights is None and not any(own.down for own in held.values()):
            return None
        return self.policy.deciding(held, self._expected(at))

    def _pass_through(self, before: Heard | None, at: datetime, said: list[_Said]) -> None:
        """What `sla.crossings` says of the change at `at`, as observations of the last moments before it."""
        goes_on, after = bool(said) and said[-1].end is None, None if before is None else self._standing(at)
        if before is None or after is None or not goes_on or self.policy is None:
            return
        passed = passed_through(self.policy.weights, before, after)
        first = at - len(passed) * TICK
        if not passed or said[-1].ts >= first:
            return
        oldest = min(own.seen_at for own in before[0].values())
        for step, (share, doubted) in enumerate(passed):
            moment = first + step * TICK
            _end(said, moment)
            if share is not None:
                said.append(_Said(moment, share, moment - oldest if doubted else timedelta()))

    def _changes(self) -> list[datetime]:
        """When somebody falls silent or is expected no more, if nothing is heard."""
        ends = {held.until for held in self.open.values()} | set(self.expected.values())
        return sorted(ends)

    def _next_change(self) -> datetime | None:
        ends = (held.until for held in self.open.values())
        return min((*ends, *self.expected.values()), default=None)

    def _fall_silent(self, before: datetime, said: list[_Said]) -> None:
        if self._soonest is None or self._soonest >= before:
            return
        for at in self._changes():
            if at >= before:
                break
            self._pass_through(self._standing(at - TICK), at, said)
            self._say(at, said, anew=False)

    def _say(self, at: datetime, said: list[_Said], *, anew: bool) -> None:
        """What holds at `at`; `anew`: also where it is what goes on."""
        share, goes_on = self._share(at), bool(said) and said[-1].end is None
        if goes_on and not anew and share == said[-1].share:
            return
        _end(said, at)
        if share is not None:
            said.append(_Said(at, share, self._age(at)))

    def _hear(self, told: Told) -> None:
        at, policy = told.ts, told.policy
        if self.policy is not None and self.policy.source != policy.source:
            self.open.clear()
        self.open = {voice: held for voice, held in self.open.items() if held.until > at}
        self.expected = {key: until for key, until in self.expected.items() if until > at}
        for voice, for_good in told.ends.items():
            self.open.pop(voice, None)
            if for_good:
                self.expected.pop((policy.source, voice), None)
        until, seen_at = at + policy.holds, at - (policy.age or timedelta())
        for voice, down in told.votes.items():
            held = self.open.get(voice)
            since = held.since if held is not None and held.down is down else at
            self.open[voice] = Held(until, down, seen_at, since)
        end = expected_until(at)
        for voice in told.votes:
            key = policy.source, voice
            self.expected[key] = max(self.expected.get(key, end), end)
        self.policy, self.newest, self.last = policy, at, frozenset(told.votes)
        self._soonest = self._next_change()

    def _goes_on(self, said: list[_Said]) -> None:
        """Give the last one its end, as things stand."""
        if not said or said[-1].end is not None:
            return
        for at in self._changes():
            # The last voice to fall silent ends every state.
            if at > said[-1].ts and self._share(at) != said[-1].share:
                said[-1].end = at
                return


def _end(said: list[_Said], at: datetime) -> None:
    if said and said[-1].end is None:
        said[-1].end = at
