"""Evaluates rules: at every tick, and at once when an observation changes something a rule reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final

import structlog

from ecpmon.alerts.evaluate import Evaluation
from ecpmon.alerts.flapping import flaps_by
from ecpmon.alerts.judgement import Facts, judge, reads_windows, windows_read
from ecpmon.alerts.lanes import Lanes
from ecpmon.alerts.machine import advance
from ecpmon.alerts.moves import Moves
from ecpmon.alerts.reading import FactsReader
from ecpmon.alerts.screen import Screen, Survey, is_due
from ecpmon.errors import Overloaded, TenantNotFound
from ecpmon.isolation import Isolation, is_passing, reason_of, trace_of
from ecpmon.model.alerts import AlertRule, FlapPolicy, RuleKind
from ecpmon.model.tenants import Tenant
from ecpmon.ports.alerts import AlertEvent, AlertStore, RuleWithState
from ecpmon.ports.quarantine import Culprit, Quarantine
from ecpmon.ports.roster import Roster, Standing
from ecpmon.ports.service import steady
from ecpmon.ports.tenants import TenantStore
from ecpmon.sla.burn import BurnPolicy
from ecpmon.slices import in_slices
from ecpmon.workers import TenantWorkers

_log = structlog.get_logger(__name__)

# Seconds after which a tenant whose turn comes late in a round is read again.
_FRESH: Final = 5.0
# Somebody else may store just then that a rule goes on.
_TRIES: Final = 2
# Seconds within which the samples of a tenant's windows have to be read: less than a rule may be moved on after it was
# read (`READ_FOR` of the store), which would leave it as it is without a word.
_LONGEST_READ: Final = 15.0
_WINDOWS: Final = "rules over windows of samples"
# Tenants whose changes are stored in one transaction.
_TOGETHER: Final = 50
_SLA_KINDS: Final = frozenset({RuleKind.BURN_RATE, RuleKind.BUDGET, RuleKind.NO_DATA})


def _judged(entry: RuleWithState, facts: Facts, policies: Mapping[str, BurnPolicy]) -> Evaluation | Exception:
    """What comes of a rule, or why nothing does: it must not take the others along."""
    try:
        return judge(entry.rule, entry.state, facts, policies)
    except Exception as error:  # noqa: BLE001 - raised where it is known whose it is
        return error


def batched(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """`names` in parts of `size`, in order."""
    rest = iter(names)
    while part := list(islice(rest, size)):
        yield part


@dataclass(frozen=True, slots=True)
class _Read:
    """Rules of a tenant with their states. `tenant` None: it is still to be read."""

    tenant: Tenant | None
    rules: Sequence[RuleWithState]

    @classmethod
    def of(cls, standing: Standing, read_at: datetime | None) -> _Read | None:
        """What is held of a tenant, and was so at `read_at`; None: nobody could read it."""
        if standing.tenant is None or standing.rules is None:
            return None
        return cls(standing.tenant, [replace(entry, read_at=read_at) for entry in standing.rules])


def _may_read_samples(standing: Standing) -> bool:
    return standing.rules is None or any(e.rule.kind not in _SLA_KINDS for e in standing.rules)


@dataclass(frozen=True, slots=True)
class _Told:
    """Which rules could be evaluated in a turn, and why others, or all of a tenant, could not."""

    failed: dict[str, Exception] = field(default_factory=dict)
    broken: dict[Culprit, str] = field(default_factory=dict)
    sound: set[Culprit] = field(default_factory=set)

    @contextmanager
    def of(self, rule: AlertRule) -> Iterator[None]:
        """Around what concerns one rule: its own trouble ends here."""
        culprit = (rule.tenant_id, f"rule {rule.alert_name}")
        try:
            yield
        except Exception as error:
            if is_passing(error):
                raise
            _log.error(
                "rule_not_evaluated", tenant=rule.tenant_id, rule=rule.alert_name, exc_info=trace_of(error)
            )
            self.broken[culprit] = reason_of(error)
            self.sound.discard(culprit)
        else:
            self.sound.add(culprit)


class AlertEngine:
    """Stateless between calls: everything a rule remembers is in its stored state."""

    def __init__(
        self,
        *,
        alerts: AlertStore,
        tenants: TenantStore,
        reader: FactsReader,
        policies: Mapping[str, BurnPolicy],
        workers: TenantWorkers,
        external_url: str,
        on_event: Callable[[AlertEvent], None],
        quarantine: Quarantine,
        screen: Screen | None = None,
        flap: FlapPolicy | None = None,
        present: Callable[[], datetime] | None = None,
    ) -> None:
        """`present`: the clock that `now` is from, for whoever had to wait; None: as much later as it waited.

        `screen`: finds out at a tick whose rules stay as they are; None: everybody is evaluated. `flap` is the
        screen's as well."""
        self._flap = flap
        self._present = present
        self._isolation = Isolation(quarantine, "alerts")
        self._quarantine = quarantine
        self._screen = screen
        self._alerts = alerts
        self._tenants = tenants
        self._reader = reader
        self._policies = policies
        self._workers = workers
        self._moves = Moves(alerts, external_url, on_event)
        self.errors = 0
        self.lanes = Lanes()

    async def evaluate_all(self, now: datetime) -> int:
        """Every rule of every live tenant; the number of state changes. One tenant's trouble stops no other."""
        if self._screen is None:
            return await self._evaluate(await self._alerts.tenants_with_rules(), now, sla=True)
        return await self._evaluate_surveyed(self._screen, now)

    async def _evaluate_surveyed(
        self, screen: Screen, now: datetime, among: Collection[str] | None = None
    ) -> int:
        """Of everybody, or of those `among` them; each by itself for whom the screen cannot tell what happens."""
        survey = await self._surveyed(screen, now, among)
        changes, failed = await self._move_all(survey, now)
        # What was stored is told by its mark; what was not is not as it is held.
        screen.roster.forget(survey.moving)
        settled = {*survey.calm, *survey.moving} - failed
        names = [name for name in survey.names if name not in settled]
        return changes + await self._evaluate(names, now, sla=True)

    async def _move_all(self, survey: Survey, now: datetime) -> tuple[int, set[str]]:
        """Store what changes of many tenants, some of them at a time. The number of changes, and who is left to be
        evaluated: it failed, or a rule is not as it was read.
        """
        changes, failed = 0, set[str]()
        for names in batched(survey.moving, _TOGETHER):
            moves = []
            async for course in in_slices(c for name in names for c in survey.moving[name]):
                entry = replace(course.entry, read_at=survey.read_at)
                move = self._moves.of(entry, course.after, course.transitions, course.reading)
                moves += [move] if move is not None else []
            try:
                told, late = await self._moves.store(moves, now)
                changes += told
                failed |= late
            except Exception as error:
                if not await self._isolation.is_own(error):
                    raise
                # Somebody's rows spoil it for all of them: an evaluation of each tells whose.
                _log.warning("moves_apart", tenants=len(names), error=reason_of(error))
                failed.update(names)
        return changes, failed

    async def _surveyed(self, screen: Screen, now: datetime, among: Collection[str] | None) -> Survey:
        """Whose rules stay as they are; what of these only goes on is stored. Nobody is, when it cannot be told."""
        held = {name for name, _ in await self._quarantine.held("alerts")}
        try:
            survey = await screen.survey(now, held, among)
        except Exception as error:
            if not await self._isolation.is_own(error):
                raise
            # Somebody's rows spoil the question about everybody: an evaluation of each tells whose.
            _log.warning("screen_failed", error=reason_of(error))
            return Survey(await self._alerts.tenants_with_rules() if among is None else [*among])
        if survey.going_on:
            stored = await self._alerts.go_on(survey.going_on, now)
            entries = [(entry, after, entry.rule.rule_id in stored) for entry, after in survey.going_on]
            screen.roster.advanced([replace(e, state=after) for e, after, known in entries if known])
            screen.roster.forget([e.rule.tenant_id for e, _, known in entries if not known])
        return survey

    async def evaluate_tenants(self, tenant_ids: Sequence[str], now: datetime, *, sla: bool) -> int:
        """The rules of some tenants; `sla` False leaves out those that only read the availability timeline."""
        if not tenant_ids:
            return 0
        if self._screen is None:
            return await self._evaluate(tenant_ids, now, sla=sla)
        if sla:
            return await self._evaluate_surveyed(self._screen, now, tenant_ids)
        return await self._evaluate_samples(self._screen.roster, tenant_ids, now)

    async def _evaluate_samples(self, roster: Roster, tenant_ids: Sequence[str], now: datetime) -> int:
        """Most tenants have nothing but rules about their timeline: those cost no more than being sorted out."""
        found = await roster.standings()
        asked = [found[name] for name in tenant_ids if name in found]
        read = {s.tenant_id: _Read.of(s, roster.read_at) for s in asked if _may_read_samples(s)}
        return await self._evaluate([*read], now, sla=False, read=read) if read else 0

    async def _evaluate(
        self,
        names: Sequence[str],
        now: datetime,
        *,
        sla: bool,
        read: Mapping[str, _Read | None] | None = None,
    ) -> int:
        """`read`: of some of them what was read just now."""
        told, changes, held = _Told(), 0, read or {}

        async def rules(names: list[str]) -> dict[str, _Read]:
            known = {name: own for name in names if (own := held.get(name)) is not None}
            return known | await self._rules([name for name in names if name not in known])

        async def evaluate(rules: Mapping[str, _Read]) -> Mapping[str, Exception]:
            nonlocal changes
            fresh_until = steady() + _FRESH
            turns = {
                name: partial(self._turn, name, own, now, sla, told, fresh_until)
                for name, own in rules.items()
                if own.rules
            }
            changes = await self.lanes.run(turns, "sla" if sla else "samples")
            return told.failed

        await self._isolation.together(names, rules, now, evaluate)
        self.errors += len(told.broken) + len(told.failed)
        await self._isolation.settle_parts(told.broken, told.sound, now)
        return changes

    async def _rules(self, names: Sequence[str]) -> dict[str, _Read]:
        found: dict[str, list[RuleWithState]] = {name: [] for name in names}
        for entry in await self._alerts.all_rules(names) if names else ():
            found[entry.rule.tenant_id].append(entry)
        return {name: _Read(None, own) for name, own in found.items()}

    async def _turn(
        self,
        tenant_id: str,
        read: _Read,
        now: datetime,
        sla: bool,
        told: _Told,
        fresh_until: float,
        waited: bool,
    ) -> int:
        try:
            changes, old = 0, waited or steady() > fresh_until
            for _ in range(_TRIES):
                own = _Read(None, await self._alerts.all_rules([tenant_id])) if old else read
                # Who waited judges what there is now, not what there was when the round began.
                at = self._by_now(now, steady() + _FRESH - fresh_until) if old else now
                tenant = own.tenant or await self._tenants.get(tenant_id)
                wanted = [r for r in own.rules if sla or r.rule.kind not in _SLA_KINDS]
                stored, old = await self._evaluate_apart(tenant, wanted, at, told)
                changes += stored
                if not old or steady() > fresh_until:
                    break  # of a process that stood still `now` is long ago
            return changes
        except TenantNotFound:
            return 0  # deleted meanwhile
        except Overloaded as error:
            # It computes too much already: the next tick comes.
            _log.warning("rules_postponed", tenant=tenant_id, error=error.message)
            return 0
        except Exception as error:
            if not await self._isolation.is_own(error):
                raise
            told.failed[tenant_id] = error
            return 0

    def _by_now(self, began: datetime, waited: float) -> datetime:
        """The instant that who waited so many seconds judges. Not what another clock makes of it: rounds would seem to
        be overtaken (`machine.is_overtaken`)."""
        return max(began, self._present()) if self._present else began + timedelta(seconds=waited)

    async def _evaluate_apart(
        self, tenant: Tenant, rules: Sequence[RuleWithState], now: datetime, told: _Told
    ) -> tuple[int, bool]:
        """As `_evaluate_tenant`; rules over windows of samples come last, and hold up no other when they take long."""
        others: list[RuleWithState] = []
        windowed: list[RuleWithState] = []
        for entry in rules:
            with told.of(entry.rule):
                (windowed if reads_windows(entry.rule) else others).append(entry)
        if not windowed:
            return await self._evaluate_tenant(tenant, others, now, told)
        changes, late = await self._evaluate_tenant(tenant, others, now, told) if others else (0, False)
        culprit = (tenant.tenant_id, _WINDOWS)
        try:
            more, missed = await self._evaluate_tenant(tenant, windowed, now, told, within=_LONGEST_READ)
        except TimeoutError:
            told.broken[culprit] = (
                f"not evaluated: reading their samples took over {_LONGEST_READ:g} s; name shorter windows"
            )
            return changes, late
        told.sound.add(culprit)
        return changes + more, late or missed

    async def _evaluate_tenant(
        self,
        tenant: Tenant,
        rules: Sequence[RuleWithState],
        now: datetime,
        told: _Told,
        within: float | None = None,
    ) -> tuple[int, bool]:
        """The rules of one tenant: changes, and whether one was not as it was read. One that nobody can evaluate stops
        no other. Raises TimeoutError when what they read is not there `within` seconds, before anything is stored.
        """
        sound: list[RuleWithState] = []
        for entry in rules:
            with told.of(entry.rule):
                windows_read([entry.rule], self._policies)
                sound.append(entry)
        async with asyncio.timeout(within):
            facts, long = await self._reader.read(tenant, sound, now)

        def judged() -> list[Evaluation | Exception]:
            return [_judged(entry, facts, self._policies) for entry in sound]

        evaluations = await self._workers.run(tenant.key, judged) if long else judged()
        changes, late = 0, False
        for entry, evaluation in zip(sound, evaluations, strict=True):
            with told.of(entry.rule):
                if isinstance(evaluation, Exception):
                    raise evaluation
                stored, missed = await self._advance(entry, evaluation, now)
                changes += stored
                late |= missed
        return changes, late

    async def _advance(self, entry: RuleWithState, evaluation: Evaluation, now: datetime) -> tuple[int, bool]:
        """Changes that were stored, and whether the rule was not as it was read."""
        rule, value = entry.rule, evaluation.reading.value
        after, transitions = advance(
            entry.state, evaluation.result, now, rule.for_, value=value, flap=flaps_by(rule, self._flap)
        )
        if self._screen is not None and not transitions and not is_due(entry.state, after, now):
            return 0, False  # that it goes on is stored now and then
        move = self._moves.of(entry, after, transitions, evaluation.reading)
        told, late = await self._moves.store([move] if move is not None else [], now)
        if self._screen is not None and not transitions and not late:
            self._screen.roster.advanced([replace(entry, state=after)])
        if late:
            _log.info(
                "rule_changed_or_read_long_ago", tenant=entry.rule.tenant_id, rule=entry.rule.alert_name
            )
        return told, bool(late)
