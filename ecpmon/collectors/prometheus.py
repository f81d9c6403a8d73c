"""Pulls Prometheus (or any compatible store) by range queries, so that live reading and backfill are one path.

Its client is synchronous: it runs in one worker thread of its own, and so does all that is made of its answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from ecpmon.collectors.backlog import Backlog, GivenUp
from ecpmon.collectors.base import Collected
from ecpmon.collectors.choosing import owned, readings_of, whose
from ecpmon.collectors.holes import Holes
from ecpmon.collectors.profiles import asked_of
from ecpmon.collectors.promclient import PromClient, Range, Refused, TimedOut
from ecpmon.collectors.questions import Answer, Question, answer_to, frames_of, questions_of, times_of
from ecpmon.collectors.rules import PrometheusRule
from ecpmon.errors import DatabaseUnavailable, MonitoringUnavailable
from ecpmon.model.samples import Frame, Source
from ecpmon.model.tenants import STALENESS_FACTOR, Tenant
from ecpmon.names import UP_METRIC
from ecpmon.ports.profiles import Chosen
from ecpmon.ports.quarantine import Culprit
from ecpmon.sla.evidence import SETTLING

# Prometheus refuses more points per series in one answer.
MAX_POINTS: Final = 11_000
# Points of all tenants in one answer to one expression.
_MOST_POINTS: Final = 400_000
# Expressions that are put into one query: as many as so many series come of, so that reading them holds nobody up.
_MOST_PARTS: Final = 24
_MOST_SERIES: Final = 12_000
_MOST_TEXT: Final = 16_000
# Questions in one turn that may be answered too late, before nobody is taken to be there.
_TIMEOUTS: Final = 2
# Pieces that were missed before and are asked for in one turn.
_PIECES: Final = 3
_LONGEST_DETAIL: Final = 500


def spans_to_ask(
    watermark: datetime | None, now: datetime, interval: timedelta, oldest: timedelta, most: int = MAX_POINTS
) -> list[tuple[datetime, datetime]]:
    """Aligned ranges, oldest first, each of `most` instants at most; empty when nothing new is due (pure)."""
    step = interval.total_seconds()
    last = (now - SETTLING).timestamp() // step * step
    since = watermark.timestamp() if watermark else last - step
    since = max(since, (now - oldest).timestamp())
    first = since // step * step + step
    ranges: list[tuple[datetime, datetime]] = []
    while first <= last:
        end = min(last, first + step * (most - 1))
        ranges.append((datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(end, UTC)))
        first = end + step
    return ranges


@dataclass(slots=True)
class _Turn:
    """What one turn has found."""

    answers: list[Answer] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    timeouts: int = 0


class ChosenProfiles(Protocol):
    """As `ports.ProfileStore` has it."""

    async def chosen(self) -> Sequence[Chosen]: ...


class Asking(Protocol):
    """As `PromClient` has it."""

    remarks: list[str]

    def ask(self, parts: Sequence[str], when: Range) -> list[list[Any]]: ...


class PrometheusCollector:
    """`Collector` for Prometheus. Call `close()` at the end."""

    source = Source.PROMETHEUS

    def __init__(
        self,
        url: str,
        rule: PrometheusRule,
        interval: timedelta,
        timeout: float,
        backfill: timedelta,
        headers: Mapping[str, str] | None = None,
        client: Asking | None = None,
        profiles: ChosenProfiles | None = None,
    ) -> None:
        self.interval = interval
        self._step = interval.total_seconds()
        self._for_all = questions_of(rule, self._step)
        self._questions = self._for_all
        self._profiles = profiles
        self._parts = _MOST_PARTS
        # What tenants have chosen, as far as that was heard.
        self._chosen: Sequence[Chosen] = ()
        self._left_out: Mapping[Culprit, str] = {}
        self._backfill = backfill
        self._client: Asking = client or PromClient(url, headers or {}, timeout)
        self._backlog = Backlog(self._step)
        self._holes = Holes(self._step * STALENESS_FACTOR, interval * 4)
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="prometheus")

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def collect(
        self, tenants: Sequence[Tenant], watermark: datetime | None, now: datetime
    ) -> Collected:
        """The oldest range that is due (the next call goes on), so that a long backfill shows progress."""
        # A clock that had run ahead left a watermark in the future; waiting for it would be blindness.
        since = min(watermark, now) if watermark else None
        most = max(20, min(MAX_POINTS, _MOST_POINTS // max(1, len(tenants))))
        ranges = spans_to_ask(since, now, self.interval, self._backfill, most)
        if not ranges:
            return Collected((), since or now)
        wanted = frozenset(t.tenant_id for t in tenants)
        self._parts = max(2, min(_MOST_PARTS, _MOST_SERIES // max(1, len(tenants))))
        await self._hear_of_profiles()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._turn, wanted, ranges[0], most, now)

    async def _hear_of_profiles(self) -> None:
        """While the database is away, what was heard last holds."""
        if self._profiles is None:
            return
        try:
            chosen = await self._profiles.chosen()
        except DatabaseUnavailable:
            return
        if list(chosen) != list(self._chosen):
            self._chosen = chosen
            asked = asked_of(owned(chosen), self._step)
            self._questions = (*self._for_all, *asked.questions)
            self._left_out = whose(asked.troubles)

    def _turn(
        self, wanted: frozenset[str], due: tuple[datetime, datetime], most: int, now: datetime
    ) -> Collected:
        start, end = due[0].timestamp(), due[1].timestamp()
        turn = _Turn()
        answered = self._present(turn, start, end, now)
        turn.frames += self._frames(turn.answers, wanted)
        self._look_for_holes(turn.frames, wanted, now)
        if answered:
            longest = (most - 1) * self._step
            self._ask_again(turn, wanted, longest)
            self._fill_holes(turn, longest, now)
        return Collected(
            tuple(sorted(turn.frames, key=lambda f: f.ts)),
            due[1],
            self._troubles(turn, wanted),
            since=due[0],
            detail=self._detail(turn),
            refused=not answered,
            given_up=tuple(map(_told, turn.given_up)),
        )

    def _present(self, turn: _Turn, start: float, end: float, now: datetime) -> bool:
        """Whether anything was answered."""
        due = [q for q in self._questions if self._backlog.is_due(q.subject, now)]
        refused: dict[str, str] = {}
        # What was refused lately must not take others along again.
        doubtful = self._backlog.refused
        for questions in [
            *_queries([q for q in due if q.subject not in doubtful], self._parts),
            *([q] for q in due if q.subject in doubtful),
        ]:
            answers, troubles = self._ask(questions, start, end, turn)
            turn.answers += answers
            refused |= troubles
        for question in self._questions:
            subject = question.subject
            if question not in due or subject in refused:
                turn.given_up += self._backlog.missed(subject, start, end, now, refused.get(subject))
            else:
                self._backlog.answered(subject)
        return len(refused) < len(due)

    def _ask(
        self, questions: Sequence[Question], start: float, end: float, turn: _Turn
    ) -> tuple[list[Answer], dict[str, str]]:
        """Answers, and why others were refused. Raises MonitoringUnavailable when nobody is there."""
        try:
            return self._answers(questions, start, end, turn), {}
        except Refused as error:
            turn.timeouts += isinstance(error, TimedOut)
            if turn.timeouts > _TIMEOUTS:
                raise MonitoringUnavailable(f"Prometheus is too slow: {error}") from error
            if len(questions) == 1:
                return [], {questions[0].subject: str(error)}
        # One of them is to blame: each by itself.
        answers: list[Answer] = []
        refused: dict[str, str] = {}
        for question in questions:
            own, why = self._ask([question], start, end, turn)
            answers += own
            refused |= why
        return answers, refused

    def _answers(self, questions: Sequence[Question], start: float, end: float, turn: _Turn) -> list[Answer]:
        """Raises Refused, MonitoringUnavailable."""
        places: dict[str, int] = {}
        for question in questions:
            for part in question.parts:
                places.setdefault(part, len(places))
        when = Range(start, end, self._step, max(q.limit for q in questions))
        results = self._client.ask(list(places), when)
        turn.remarks.update(dict.fromkeys(self._client.remarks))
        try:
            return [
                answer_to(
                    question,
                    results[places[question.expression]],
                    [times_of(results[places[text]], labels) for text, labels in question.times],
                )
                for question in questions
            ]
        except ValueError as error:
            raise Refused(str(error)) from error

    def _ask_again(self, turn: _Turn, wanted: frozenset[str], longest: float) -> None:
        """What was missed while others were answered."""
        by_subject = {q.subject: q for q in self._questions}
        for _ in range(_PIECES):
            found = self._backlog.next(longest)
            if found is None:
                return
            subject, piece = found
            if subject not in by_subject:
                continue
            try:
                answers, refused = self._ask([by_subject[subject]], piece.first, piece.last, turn)
            except MonitoringUnavailable:
                self._backlog.put_back(subject, piece)
                return
            turn.frames += self._frames(answers, wanted)
            if refused and (lost := self._backlog.refuse(subject, piece, refused[subject])):
                turn.given_up.append(lost)

    def _look_for_holes(self, frames: Iterable[Frame], wanted: frozenset[str], now: datetime) -> None:
        seen: dict[str, list[float]] = {}
        for frame in frames:
            if any(sample.key.metric_name == UP_METRIC for sample in frame.samples):
                seen.setdefault(frame.tenant_id, []).append(frame.ts.timestamp())
        for tenant, instants in seen.items():
            self._holes.seen(tenant, instants, now)
        self._holes.forget(wanted)

    def _fill_holes(self, turn: _Turn, longest: float, now: datetime) -> None:
        """What has come late to the store."""
        holes = self._holes.due(longest, now)
        if not holes:
            return
        first = min(hole.first for hole in holes) // self._step * self._step + self._step
        last = max(hole.last for hole in holes) // self._step * self._step
        if last < first:
            return
        found: list[Answer] = []
        try:
            for questions in _queries(self._questions, self._parts):
                found += self._ask(questions, first, last, turn)[0]
        except MonitoringUnavailable:
            return  # the next turn finds out what that means
        lacking = frozenset(hole.tenant for hole in holes)
        turn.frames += [
            frame
            for frame in self._frames(found, lacking)
            if any(h.tenant == frame.tenant_id and h.first < frame.ts.timestamp() < h.last for h in holes)
        ]

    def _frames(self, answers: Sequence[Answer], wanted: frozenset[str]) -> tuple[Frame, ...]:
        return frames_of([readings_of(answers, self._chosen)], wanted)

    def _troubles(self, turn: _Turn, wanted: frozenset[str]) -> dict[Culprit, str]:
        found = dict(self._left_out)
        for answer in turn.answers:
            found |= whose(answer.troubles)
        return {culprit: why for culprit, why in found.items() if culprit[0] in wanted}

    def _detail(self, turn: _Turn) -> str | None:
        told = [f"{subject}: {why}" for subject, why in self._backlog.refused.items()]
        return "; ".join([*told, *turn.remarks])[:_LONGEST_DETAIL] or None


def _queries(questions: Sequence[Question], most_parts: int) -> list[list[Question]]:
    """Questions that are asked together: of one lookback, in order, as many as a query holds."""
    found: list[list[Question]] = []
    size: list[tuple[int, int]] = []
    places: dict[float, int] = {}
    for question in questions:
        parts, text = len(question.parts), sum(map(len, question.parts))
        place = places.get(question.limit)
        if place is None or size[place][0] + parts > most_parts or size[place][1] + text > _MOST_TEXT:
            place = places[question.limit] = len(found)
            found.append([])
            size.append((0, 0))
        found[place].append(question)
        size[place] = size[place][0] + parts, size[place][1] + text
    return found


def _told(lost: GivenUp) -> str:
    first, last = (
        datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
        for at in (lost.piece.first, lost.piece.last)
    )
    return f"given up: {lost.subject} from {first} to {last}: {lost.reason}"[:_LONGEST_DETAIL]
