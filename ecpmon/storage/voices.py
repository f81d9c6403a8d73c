"""What is stored of a tenant's voices (`ecpmon.sla.voices`), and what its samples say together.

Invariants:
- `availability_heads` says who speaks at the open end of a timeline: `says` while the same voices say everything each
  time, so that nothing has to be known of what was said before; else `voices`, what each holds. NULL in both: read it.
- `evidence_heard` holds of each voice the union of `[value, expected_until(value))` over all its values that count;
  each ends where the voice is over next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecpmon.model.availability import Observation
from ecpmon.model.maintenance import Interval
from ecpmon.model.samples import EARLIEST, LATEST
from ecpmon.sla.crossings import Held, Voice
from ecpmon.sla.evidence import EvidenceRules
from ecpmon.sla.voices import Chorus, Told, expected_before, expected_until, hour_after
from ecpmon.storage.alike import standing_name
from ecpmon.storage.queries import load
from ecpmon.storage.regimes import Regime, evidence_values, policy_of, reach, regime_at, told_by

# More values than this are looked at in a thread.
_MANY: Final = 2_000
# Tenant, source, metric, component, from when until when that voice is expected.
Hearing = tuple[int, str, str, str, datetime, datetime]
# Tenant, source, metric, component, from when on it is not, as far as is known before.
Cut = tuple[int, str, str, str, datetime]


@dataclass(frozen=True, slots=True)
class Standing:
    """Columns of `availability_heads`."""

    says: str | None = None
    noted: datetime | None = None
    voices: Mapping[str, Any] | None = None


def standing_of(chorus: Chorus) -> Standing:
    """How the voices stand, as it is stored."""
    policy, newest = chorus.policy, chorus.newest
    if policy is None or newest is None:
        return _UNKNOWN
    if chorus.says_all:
        votes = {voice: held.down for voice, held in chorus.open.items() if voice in chorus.last}
        return Standing(standing_name(policy, votes), hour_after(newest))
    voices = {
        "source": policy.source,
        "newest": newest.isoformat(),
        "open": [
            [*voice, held.until.isoformat(), held.down, held.seen_at.isoformat(), held.since.isoformat()]
            for voice, held in sorted(chorus.open.items())
        ],
        "expected": [
            [*voice, until.isoformat()]
            for (source, voice), until in sorted(chorus.expected.items())
            if source == policy.source
        ],
    }
    return Standing(voices=voices)


_UNKNOWN: Final = Standing()


def chorus_of(voices: Any, regimes: Sequence[Regime]) -> Chorus | None:
    """What was stored of a standing; without a policy when another source is evidence there now.

    None: nothing was, or nobody can read it.
    """
    try:
        return None if voices is None else _chorus_of(voices, regimes)
    except (KeyError, TypeError, ValueError):
        return None


def _chorus_of(voices: Mapping[str, Any], regimes: Sequence[Regime]) -> Chorus:
    source, newest = voices["source"], datetime.fromisoformat(voices["newest"])
    policy = policy_of(regime_at(regimes, newest))
    return Chorus(
        policy if policy.source == source else None,
        newest,
        {
            (name, of): Held(datetime.fromisoformat(until), down, *_instants(seen_at, *since))
            for name, of, until, down, seen_at, *since in voices["open"]
        },
        {(source, (name, of)): datetime.fromisoformat(until) for name, of, until in voices["expected"]},
    )


def _instants(seen_at: str, since: str | None = None) -> tuple[datetime, datetime]:
    """A release that did not know since when a voice says the same left that out: then since it was heard last."""
    return datetime.fromisoformat(seen_at), datetime.fromisoformat(seen_at if since is None else since)


def newest_of(row: Any, regimes: Sequence[Regime]) -> datetime | None:
    """The last instant of which a timeline's open end knows that anything was said; `row` of `availability_heads`."""
    known: datetime | None = row["last_observed_at"]
    chorus = chorus_of(row["voices"], regimes)
    if chorus is None or chorus.newest is None:
        return known
    return chorus.newest if known is None else max(known, chorus.newest)


def hearings(tenant: int, told: Iterable[Told], known: Chorus | None = None) -> list[Hearing]:
    """What `told` (in order) adds to `evidence_heard`, as far as `known` does not hold it: once an hour at most."""
    found: dict[tuple[str, Voice, datetime], datetime] = {}
    over: list[tuple[str, Voice, datetime, datetime]] = []
    expected = dict(known.expected) if known else {}
    for each in told:
        end, source = expected_until(each.ts), each.policy.source
        for voice in each.votes:
            if (source, voice, end) not in found and expected.get((source, voice), each.ts) < end:
                found[source, voice, end] = each.ts
        for voice in _over(each):
            expected.pop((source, voice), None)
            ended = [key for key in found if key[:2] == (source, voice)]
            over += [(source, voice, found.pop(key), min(key[2], each.ts)) for key in ended]
    rest = [(source, voice, ts, end) for (source, voice, end), ts in found.items()]
    return [(tenant, source, *voice, ts, end) for source, voice, ts, end in (*over, *rest)]


def cuts(tenant: int, told: Iterable[Told]) -> list[Cut]:
    """What of `evidence_heard` is over by `told` (in order, after all that is known): before `hearings` is added."""
    found: dict[tuple[str, Voice], datetime] = {}
    for each in told:
        for voice in _over(each):
            found.setdefault((each.policy.source, voice), each.ts)
    return [(tenant, source, *voice, ts) for (source, voice), ts in found.items()]


def _over(told: Told) -> list[Voice]:
    return [voice for voice, for_good in told.ends.items() if for_good]


class Voices:
    """Call with the heads locked."""

    def __init__(self, rules: EvidenceRules) -> None:
        self._rules = rules
        self._sql = load("voices")

    async def seen(
        self,
        connection: Any,
        tenant: int,
        start: datetime,
        until: datetime,
        regimes: Sequence[Regime],
        stop: datetime | None = None,
    ) -> tuple[list[Observation], Chorus]:
        """All observations up to `until` of which `start` may be told, exact from `reach(start)` on; and how the voices
        stand then. `stop`: something was heard after it, so what silence changes before counts as well."""
        # Once more: whether who is down has been so since before another came up.
        since = reach(regimes, reach(regimes, reach(regimes, start)))
        expected = await connection.fetch(self._sql["expected"], tenant, since)
        rows = await connection.fetch(load("ingest")["raw_evidence"], tenant, since, until)
        chorus = Chorus(expected={(r["source"], (r["metric"], r["component"])): r["until"] for r in expected})

        def follow() -> list[Observation]:
            told = told_by(evidence_values(rows), regimes, self._rules)
            return chorus.follow(told, until=stop)

        return await asyncio.to_thread(follow) if len(rows) > _MANY else follow(), chorus

    async def hear(self, connection: Any, heard: Collection[Hearing]) -> dict[int, Interval]:
        """Add to `evidence_heard`; by tenant, the time in which a voice is expected now that was not.

        Where it is the only one of its tenant that makes no difference: when it is silent, everything is.
        """
        if not heard:
            return {}
        columns = [[each[place] for each in heard] for place in range(6)]
        rows = await connection.fetch(self._sql["hear"], *columns)
        return {r["tenant"]: Interval(r["start"], r["end"]) for r in rows}

    async def cut(self, connection: Any, ended: Collection[Cut]) -> None:
        if ended:
            await connection.execute(self._sql["cut"], *map(list, zip(*ended, strict=True)))

    async def knows_ends(self, connection: Any, tenant: int) -> bool:
        """Whether any voice of the tenant has ever been over."""
        found: bool = await connection.fetchval(self._sql["knows_ends"], tenant)
        return found

    async def unhear(
        self,
        connection: Any,
        tenant: int,
        first: datetime,
        last: datetime,
        regimes: Sequence[Regime],
        *,
        over: bool = False,
    ) -> Interval | None:
        """What was said from `first` to `last` may be gone from the samples: take it out of `evidence_heard` too.

        `over`: of a tenant whose voices may be over, who is expected from `first` on is told anew from the samples.
        The time in which somebody is expected no more; None: it is as it was.
        """
        row = await connection.fetchrow(
            self._sql["unhear"],
            tenant,
            first,
            expected_until(last),
            *self._columns(regimes),
            expected_before(first),
            over,
        )
        return Interval(row["start"], row["end"]) if row["start"] else None

    async def rehear(
        self, connection: Any, tenant: int, first: datetime, last: datetime, regimes: Sequence[Regime]
    ) -> None:
        """Of voices that are over while what was said from `first` to `last` matters: who is expected after that.

        What `hear` has added is cut where it has to be. Nothing was taken back.
        """
        columns = self._columns(regimes)
        await connection.execute(self._sql["rehear"], tenant, first, expected_until(last), *columns)

    def _columns(self, regimes: Sequence[Regime]) -> tuple[list[Any], ...]:
        """Sources, from when until when, weights, whether error rates count."""
        starts = [EARLIEST, *(r.valid_from for r in regimes[1:])]
        return (
            [regime.source.value for regime in regimes],
            starts,
            [*starts[1:], LATEST],
            [regime.weights for regime in regimes],
            [self._rules.of(regime.source).error_rate_down_at is not None for regime in regimes],
        )

    async def store(self, connection: Any, standings: Mapping[int, Standing]) -> None:
        if standings:
            await connection.execute(
                self._sql["stand"],
                list(standings),
                [s.says for s in standings.values()],
                [s.noted for s in standings.values()],
                [s.voices for s in standings.values()],
            )
