"""Values of automatic recovery: one row per incident, or alert that joined one, and why it went as it did."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecoveryState(StrEnum):
    CHECKING = "checking"  # an alert came: our own evidence has its time
    DOUBTED = "doubted"  # our own evidence says up: people were told, nothing is restarted
    RESTARTING = "restarting"  # people were told; a restart is wanted, or under way
    WAITING = "waiting"  # restarted; the re-check has a due time
    RECOVERED = "recovered"
    ESCALATED = "escalated"  # people have been called; looked at again until it is up
    CLOSED = "closed"  # the alert is over, and nobody has measured that the tenant is up
    JOINED = "joined"  # an alert of an incident that was under way: nothing was done for this one


class RecoveryReason(StrEnum):
    """Why a recovery is where it is. Shared by rows, events, messages, logs and tests."""

    ALERTED = "alerted"
    AWAITING_EVIDENCE = "awaiting_evidence"  # the alert may be ahead of what we measure
    MEASURED_UP = "measured_up"  # since the alert came
    MEASURED_DOWN = "measured_down"
    ALERT_BELIEVED = "alert_believed"  # nothing is measured that says otherwise
    SILENCED = "silenced"  # in Alertmanager, or inhibited there
    SETTLING = "settling"  # up, not yet for long enough
    ALERT_GONE = "alert_gone"  # Alertmanager does not have it any more, and the tenant is measured up
    ALERT_OVER = "alert_over"  # the same, of a tenant that nobody measures
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


class AlertStanding(StrEnum):
    """What Alertmanager's list says about the alerts of an incident."""

    UNKNOWN = "unknown"  # nobody asked, or nobody answered
    FIRING = "firing"  # at least one of them
    SILENCED = "silenced"  # those that it has are silenced or inhibited
    GONE = "gone"  # it has none of them


class AlertList:
    """The alerts that Alertmanager has, silenced and inhibited ones included; what has ended is not among them."""

    def __init__(self, standings: Mapping[tuple[str, str], AlertStanding]) -> None:
        """By the tenant named in the labels, "" for none, and fingerprint."""
        self._standings = standings

    def of(self, tenant_id: str, fingerprints: Collection[str]) -> AlertStanding:
        """Of one tenant's alerts together: one that fires is enough."""
        found = {
            self._standings[key]
            for fingerprint in fingerprints
            for key in ((tenant_id, fingerprint), ("", fingerprint))
            if key in self._standings
        }
        if AlertStanding.FIRING in found:
            return AlertStanding.FIRING
        return AlertStanding.SILENCED if found else AlertStanding.GONE


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery as stored. `fingerprint` and `alert_starts_at` name the alert it began with.

    `restart_at` is the stamp of its one restart, kept over repeated tries; `restarted_at` and `restarted`
    (deployments) are set when the deployer has confirmed it. `tries` counts calls of the deployer.
    `due_at` None: it is over. `joined_to`: the incident that a `JOINED` alert belongs to, as long as that is kept.
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
    joined_to: str | None = None
