"""Alert rules with their state, the events of a change, alerts of others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ecpmon.model.alerts import Action, AlertRule, RuleState
from ecpmon.model.standing_alerts import Identity, ToldAlert
from ecpmon.model.tenants import Tenant


@dataclass(frozen=True, slots=True)
class RuleWithState:
    """`read_at`: when, by the clock of where it is stored; what is made of it must not be stored long after."""

    rule: AlertRule
    state: RuleState
    alert_id: str | None
    created_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A stored state change of a rule."""

    event_id: int
    tenant_id: str
    rule_id: str
    alert_id: str
    alert_name: str
    severity: str
    kind: str
    from_state: str
    to_state: str
    at: datetime
    value: float | None
    threshold: float | None
    metric: str | None
    reason: str
    message: str
    # What a rule about an objective is about.
    objective: str | None = None
    # Whether the rule flaps from then on, and how many changes before nobody was told of.
    flapping: bool = False
    suppressed: int = 0
    # The silence for which nobody was told of it.
    silenced_by: str | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A state change about to be stored, and its notifications: (idempotency key, action) each, of one body."""

    alert_id: str
    from_state: str
    to_state: str
    at: datetime
    value: float | None
    threshold: float | None
    metric: str | None
    reason: str
    message: str
    flapping: bool = False
    suppressed: int = 0
    notifications: tuple[tuple[str, Action], ...] = ()
    body: Mapping[str, Any] | None = None
    silenced_by: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A rule that is to be in the state `after`, in the alert `alert_id`, with what is to be told about it."""

    entry: RuleWithState
    after: RuleState
    alert_id: str | None
    events: Sequence[NewEvent] = ()


class AlertStore(Protocol):
    async def create(self, rule: AlertRule, now: datetime, most: int | None = None) -> RuleWithState:
        """Raises Conflict when the tenant has a rule of that name, LimitReached when it has `most`, TenantNotFound.

        The built-in rules do not count.
        """
        ...

    async def create_missing(self, rules: Sequence[AlertRule], now: datetime) -> None:
        """All in one transaction; a rule whose name its tenant has already is left out."""
        ...

    async def rules(self, tenant: Tenant) -> list[RuleWithState]: ...

    async def get(self, tenant: Tenant, rule_id: str) -> RuleWithState:
        """Raises NotFound, also for another tenant's rule."""
        ...

    async def delete(
        self, tenant: Tenant, entry: RuleWithState, events: Sequence[NewEvent], now: datetime
    ) -> list[AlertEvent] | None:
        """The rule goes and the events of its end are stored, in one transaction.

        None when the rule is no longer in the alert of `entry`: read again, nothing was stored.
        """
        ...

    async def replace(
        self,
        tenant: Tenant,
        entry: RuleWithState,
        rule: AlertRule,
        state: RuleState,
        events: Sequence[NewEvent],
        now: datetime,
    ) -> list[AlertEvent] | None:
        """`entry` becomes `rule` in `state`; events and None as for `delete`.

        Raises Conflict for a name that is taken.
        """
        ...

    async def all_rules(self, tenant_ids: Sequence[str]) -> list[RuleWithState]:
        """Rules of these tenants as far as they are live and anybody can read them, for the engine.

        Without those about objectives, which are evaluated apart.
        """
        ...

    async def tenants_with_rules(self) -> list[str]:
        """Live tenants that have any, for the engine."""
        ...

    async def go_on(self, entries: Sequence[tuple[RuleWithState, RuleState]], now: datetime) -> set[str]:
        """Store states that are no change, evaluated at `now`, all at once; ids of the rules still as in `entries`."""
        ...

    async def advance(self, moves: Sequence[Move], now: datetime) -> list[list[AlertEvent] | None]:
        """Store states with their events and notifications, all of it in one transaction; what came of each move.

        None for one whose rule somebody else has changed the state of since it was read, or which was read long ago: at
        `read_at` by the store's clock (a process that stood still has the old facts). Of that nothing was stored.
        """
        ...

    async def tenants_without_sla_rules(self) -> list[str]:
        """Live tenants that lack the rules every tenant has (somebody inserted them by hand)."""
        ...

    async def tenants_with_other_objectives(self, each: int) -> list[str]:
        """Live tenants with rules that no objective has, or an objective without its `each` rules, for a job."""
        ...

    async def recent_events(self, tenant: Tenant, limit: int) -> list[AlertEvent]: ...

    async def events(self, tenants: Collection[int], numbers: Collection[int]) -> list[AlertEvent]:
        """Those of these numbers that are events of the tenants, in order."""
        ...

    async def last_events(self, tenants: Collection[Tenant]) -> dict[str, AlertEvent]:
        """tenant_id -> newest firing or resolved event, for the summary; absent where there is none."""
        ...


class Deliveries(Protocol):
    async def recent(self, tenant: Tenant, limit: int) -> list[dict[str, Any]]:
        """Notifications, newest first, with what was merged into them and who had them sent again."""
        ...

    async def resend(
        self, tenant: Tenant, number: int, caller: str, note: str | None, now: datetime
    ) -> dict[str, Any]:
        """A parked notification is pending again, under its old idempotency key; who asked for it is on record.

        Raises NotFound, also for another tenant's; Conflict for one that is not parked.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExternalAlert:
    tenant_id: str | None
    fingerprint: str
    starts_at: datetime
    ends_at: datetime | None
    status: str
    alert_name: str
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of alerts: `fresh` are stored now, `unknown` are of no live tenant and were left out.

    The others were seen before.
    """

    fresh: tuple[ExternalAlert, ...] = ()
    unknown: tuple[ExternalAlert, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedAlert:
    """What Alertmanager told us, and when."""

    alert: ExternalAlert
    received_at: datetime


class ExternalAlertStore(Protocol):
    async def record(
        self, alerts: Sequence[ExternalAlert], now: datetime, *, of_tenants_only: bool
    ) -> Recorded:
        """Store what is new. A delivery seen before is left out; what another tenant said is another alert.

        `of_tenants_only` leaves out what is of no live tenant; else that is kept as an alert of the cluster.
        """
        ...

    async def recent(self, tenant: Tenant, limit: int) -> list[ExternalAlert]: ...

    async def page(self, tenant: Tenant, status: str | None, skip: int, limit: int) -> list[ReceivedAlert]:
        """Newest first; `status` `firing` or `resolved`, None for both."""
        ...

    async def by_numbers(self, tenants: Collection[int], numbers: Collection[int]) -> list[ExternalAlert]:
        """Those of these numbers that are alerts of the tenants, in order."""
        ...


class StandingAlerts(Protocol):
    """Of all tenants: whoever is told of them keeps one list."""

    async def standing(self, now: datetime) -> dict[Identity, ToldAlert]:
        """What fires, and what has ended within `ENDED` and does not fire anew."""
        ...
