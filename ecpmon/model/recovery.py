"""Values of automatic recovery: one row per alert that a tenant is down, and why it went as it did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecoveryState(StrEnum):
    RESTARTING = "restarting"  # a restart is wanted, or under way
    WAITING = "waiting"  # restarted; the re-check has a due time
    RECOVERED = "recovered"
    ESCALATED = "escalated"  # people have been told; looked at again until it is up
    JOINED = "joined"  # another alert's recovery of this tenant was under way: nothing was done for this one


class RecoveryReason(StrEnum):
    """Why a recovery is where it is. Shared by rows, events, messages, logs and tests."""

    ALERTED = "alerted"
    IN_MAINTENANCE = "in_maintenance"  # planned: looked at again when the maintenance is over
    DEPLOYER_UNAVAILABLE = "deployer_unavailable"  # tried again shortly
    RESTARTED = "restarted"
    UP_AGAIN = "up_again"
    RESOLVED_BEFORE_RESTART = "resolved_before_restart"
    UP_BEFORE_RESTART = "up_before_restart"
    UP_AFTER_ESCALATION = "up_after_escalation"
    STILL_DOWN = "still_down"
    NOT_MEASURED = "not_measured"  # the evidence is a gap: nobody knows whether it is up
    TOO_MANY_RESTARTS = "too_many_restarts"
    NOT_DEPLOYED = "not_deployed"
    NO_DEPLOYER = "no_deployer"  # deployed where nobody here can restart it
    NOTHING_TO_RESTART = "nothing_to_restart"
    RESTART_FAILED = "restart_failed"
    RECOVERY_UNDER_WAY = "recovery_under_way"


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery as stored. `fingerprint` and `alert_starts_at` name the alert it answers.

    `restart_at` is the stamp of its one restart, kept over repeated tries; `restarted_at` and `restarted`
    (deployments) are set when the deployer has confirmed it. `tries` counts calls of the deployer.
    `due_at` None: there is nothing left to do.
    """

    recovery_id: str
    tenant_id: str
    alert_name: str
    severity: str
    fingerprint: str
    alert_starts_at: datetime
    state: RecoveryState
    reason: RecoveryReason
    detail: str
    tries: int
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None = None
    claimed_until: datetime | None = None
    restart_at: datetime | None = None
    restarted_at: datetime | None = None
    restarted: int | None = None
    escalated_at: datetime | None = None
    ended_at: datetime | None = None
