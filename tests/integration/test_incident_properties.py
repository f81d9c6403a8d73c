"""Whatever Alertmanager says, in whatever order: one restart per outage, none of who is measured up, nobody forgotten.

The real store and the real rules; evidence, list and deployer are the test's, on its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ecpmon.errors import MonitoringUnavailable
from ecpmon.model.availability import Span, SpanState
from ecpmon.model.recovery import AlertList, AlertStanding, Recovery, RecoveryState
from ecpmon.model.samples import Source
from ecpmon.model.tenants import Tenant
from ecpmon.orchestrator.recoverer import TENANT_DOWN, Recoverer
from ecpmon.orchestrator.recovery import Decision, RecoveryPolicy, notifies
from ecpmon.ports.alerts import ExternalAlert
from ecpmon.ports.orchestrator import RecoveryStep
from ecpmon.sla.evidence import Intervals
from ecpmon.storage.database import Database
from ecpmon.storage.external_alerts import PgExternalAlertStore
from ecpmon.storage.recovery import PgRecoveryStore
from tests.integration.conftest import T0, MakeTenant
from tests.quarantine import FakeQuarantine

UP, DOWN, GAP = SpanState.UP, SpanState.DOWN, SpanState.GAP
TICK, MINUTE = timedelta(seconds=10), timedelta(minutes=1)
HOLDS = timedelta(seconds=25)
# Restarts are bounded elsewhere; here each outage may have its own.
POLICY = RecoveryPolicy(max_restarts=1_000)
SEEN = """
UPDATE availability_heads
SET first_observed_at = $2, state = $3, since = $4, last_observed_at = $5, holds = $6 WHERE tenant = $1
"""


@dataclass
class Stage:
    """A tenant whose evidence, alerts and restarts the test decides about."""

    tenant: Tenant
    database: Database
    now: datetime = T0
    # Runs of one state, the last one open; begun a while ago.
    runs: list[tuple[datetime, SpanState]] = field(default_factory=lambda: [(T0 - timedelta(hours=1), UP)])
    listed: AlertList | None = None
    # (when, outage)
    restarts: list[tuple[datetime, int]] = field(default_factory=list)
    told: list[tuple[RecoveryState, RecoveryState]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alerts = PgExternalAlertStore(self.database)
        self.store = PgRecoveryStore(self.database)
        self.quarantine = FakeQuarantine()
        mine: Any = self
        self.recoverer = Recoverer(
            recoveries=self.store, tenants=mine, availability=mine, maintenance=mine, restarter=mine,
            intervals=Intervals(TICK, TICK), describe=self.describe, on_event=lambda _: None,
            quarantine=self.quarantine, policy=POLICY, alertmanager=mine,
        )  # fmt: skip

    @property
    def state(self) -> SpanState:
        return self.runs[-1][1]

    @property
    def outage(self) -> int:
        """The number of outages that are over: up for a minute ends one."""
        ends = [*(start for start, _ in self.runs[1:]), self.now]
        return sum(s is UP and end - start >= MINUTE for (start, s), end in zip(self.runs, ends, strict=True))

    # --- what the recoverer asks -------------------------------------------------------------------------

    async def get(self, _: str) -> Tenant:
        return self.tenant

    async def timeline(self, _: Tenant, start: datetime, until: datetime, *, present: bool) -> list[Span]:
        ends = [*(at for at, _ in self.runs[1:]), until]
        spans = [Span(at, end, state) for (at, state), end in zip(self.runs, ends, strict=True)]
        return [s for s in spans if s.end > start]

    async def of_tenant(self, _: Tenant) -> Sequence[Any]:
        return ()

    async def alerts_of(self) -> AlertList:
        if self.listed is None:
            raise MonitoringUnavailable("away")
        return self.listed

    async def restart(self, _: Tenant, stamp: datetime) -> int:
        # Not raised here: whose turn fails is quarantined.
        if self.state is UP:
            self.wrong.append("who is measured up is restarted")
        if RecoveryState.RESTARTING not in {after for _, after in self.told}:
            self.wrong.append("nobody was told before")
        self.restarts.append((stamp, self.outage))
        return 1

    async def describe(
        self, _: Tenant, recovery: Recovery, decision: Decision, now: datetime
    ) -> RecoveryStep:
        if notifies(recovery, decision):
            self.told.append((recovery.state, decision.state))
        return RecoveryStep(
            decision.state, decision.reason, decision.detail, decision.due_at, "said",
            joined_to=decision.joined_to, goes_on=decision.again, ended_at=decision.ended_at,
        )  # fmt: skip

    # --- what happens -------------------------------------------------------------------------------------

    async def turn_to(self, state: SpanState) -> None:
        if state is not self.state:
            self.runs.append((self.now, state))
        await self.observe()

    async def observe(self) -> None:
        start, state = self.runs[-1]
        if state is not GAP:
            await self.database.execute(
                SEEN, self.tenant.key, T0 - timedelta(days=1), state.value, start, self.now, HOLDS
            )

    async def fire(self, fingerprint: str, starts_at: datetime) -> None:
        await self.tell(fingerprint, starts_at, "firing", None)

    async def resolve(self, fingerprint: str, starts_at: datetime) -> None:
        await self.tell(fingerprint, starts_at, "resolved", self.now)

    async def tell(
        self, fingerprint: str, starts_at: datetime, status: str, ends_at: datetime | None
    ) -> None:
        name = self.tenant.tenant_id
        alert = ExternalAlert(name, fingerprint, starts_at, ends_at, status, TENANT_DOWN, "critical", {}, {})
        await self.alerts.record([alert], self.now, of_tenants_only=True)
        await self.recoverer.alerted([alert], self.now)

    async def let_pass(self, ticks: int) -> None:
        for _ in range(ticks):
            self.now += TICK
            await self.observe()
            await self.recoverer.run_once(self.now)


class Listed:
    """`ports.AlertSource` of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def alerts(self, *_: object) -> AlertList:
        return await self._stage.alerts_of()


@pytest.fixture
async def stage_of(database: Database, make_tenant: MakeTenant) -> Any:
    async def make() -> Stage:
        await database.execute("DELETE FROM recoveries")
        stage = Stage(await make_tenant(source=Source.SIMULATOR, holds=HOLDS), database)
        stage.recoverer._alertmanager = Listed(stage)
        await stage.observe()
        return stage

    return make


NAMES = st.sampled_from(["one", "two"])
STARTS = st.sampled_from(["same", "new", "ahead", "past"])
MESSAGES = st.one_of(
    st.tuples(st.just("fire"), NAMES, STARTS),
    st.tuples(st.just("resolve"), NAMES, STARTS),
    st.tuples(st.just("list"), st.sampled_from([None, *AlertStanding])),
)
# What our evidence says, what Alertmanager says then, and how many ticks pass.
PHASES = st.tuples(
    st.sampled_from([UP, DOWN, DOWN, GAP]), st.lists(MESSAGES, max_size=2), st.sampled_from([1, 3, 7, 31])
)
STEPS = st.lists(PHASES, min_size=2, max_size=9).map(
    lambda phases: [
        step for state, said, ticks in phases for step in [("state", state), *said, ("pass", ticks)]
    ]
)


async def play(stage: Stage, steps: Sequence[tuple[Any, ...]]) -> None:
    starts: dict[str, datetime] = {}
    for what, *given_ in steps:
        match what, *given_:
            case "pass", ticks:
                await stage.let_pass(ticks)
            case "state", state:
                await stage.turn_to(state)
            case "list", None:
                stage.listed = None
            case "list", standing:
                every = {} if standing in ("gone", "unknown") else {("", n): standing for n in ("one", "two")}
                stage.listed = AlertList(every)
            case "fire" | "resolve", name, start:
                at = {"new": stage.now, "ahead": stage.now + 4 * MINUTE, "past": T0 - timedelta(days=1)}.get(
                    start, starts.get(name, stage.now)
                )
                if what == "fire":
                    starts[name] = at
                    await stage.fire(name, at)
                else:
                    await stage.resolve(name, at)
    await stage.let_pass(1)


DOWN_TWICE = [
    ("state", DOWN), ("fire", "one", "new"), ("pass", 31), ("state", UP), ("pass", 7), ("state", DOWN),
    ("fire", "one", "same"), ("pass", 2),
]  # fmt: skip


UP_FOR_A_MOMENT = [
    ("state", DOWN), ("fire", "one", "new"), ("pass", 31), ("state", UP), ("pass", 3), ("state", DOWN),
    ("fire", "two", "new"), ("pass", 31), ("fire", "one", "new"), ("pass", 31),
]  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(steps=DOWN_TWICE)
@example(steps=UP_FOR_A_MOMENT)
@given(steps=STEPS)
async def test_whatever_is_said_each_outage_has_one_restart_at_most(
    stage_of: Any, steps: list[tuple[Any, ...]]
) -> None:
    """And nobody is restarted who is up, or before people are told."""
    stage = await stage_of()
    await play(stage, steps)
    assert (stage.wrong, stage.quarantine.rows) == ([], {})
    outages = [outage for _, outage in stage.restarts]
    assert len(outages) == len(set(outages)), outages
    rows = await stage.store.of_tenant(stage.tenant, 1_000)
    # Who was told something is told its end; a row that is over is never looked at again.
    assert all((r.due_at is None) == (r.ended_at is not None) for r in rows)
    begun = sum(before is RecoveryState.CHECKING for before, _ in stage.told)
    ended = sum(after in (RecoveryState.RECOVERED, RecoveryState.CLOSED) for _, after in stage.told)
    still = sum(r.ended_at is None and r.state is not RecoveryState.CHECKING for r in rows)
    assert begun == ended + still


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_whatever_was_said_before_a_new_outage_that_alertmanager_tells_of_is_acted_upon(
    stage_of: Any, steps: list[tuple[Any, ...]]
) -> None:
    stage = await stage_of()
    await play(stage, steps)
    # Up for long enough that everything is over, then down, and told.
    stage.listed = None
    await stage.turn_to(UP)
    await stage.let_pass(32)
    await stage.turn_to(DOWN)
    await stage.fire("one", stage.now)
    await stage.let_pass(2)
    assert stage.restarts
    assert stage.restarts[-1][1] == stage.outage
    assert (stage.wrong, stage.quarantine.rows) == ([], {})


async def test_the_stage_is_played_as_it_is_meant(stage_of: Any) -> None:
    stage = await stage_of()
    await play(stage, DOWN_TWICE)
    assert [outage for _, outage in stage.restarts] == [1, 2]
    after = [state.value for _, state in stage.told]
    assert after == ["restarting", "escalated", "recovered", "restarting"]
