"""Values of deployments: what is brought out, how far it has got, what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final


class DeploymentStatus(StrEnum):
    """The state machine of orchestrator.md §3; the last three are final."""

    PENDING = "pending"
    VALIDATING = "validating"
    CREATING_NAMESPACE = "creating-namespace"
    CREATING_SERVICES = "creating-services"
    SCALING_SERVICES = "scaling-services"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    FAILED = "failed"
    ROLLED_BACK = "rolled-back"

    @property
    def is_final(self) -> bool:
        return self in FINAL


# The sign of life of one that nobody has begun yet.
NOT_BEGUN: Final = datetime(1970, 1, 1, tzinfo=UTC)
DEPLOYMENT_ID_PATTERN: Final = r"^[a-z0-9][-a-z0-9]{0,99}$"
# The ids of deployments that somebody else made and told us of.
REPORTED: Final = "ci-"
FINAL: Final = frozenset({DeploymentStatus.COMPLETED, DeploymentStatus.FAILED, DeploymentStatus.ROLLED_BACK})
# Percent at which a phase begins.
PROGRESS: Final[dict[DeploymentStatus, int]] = {
    DeploymentStatus.PENDING: 0,
    DeploymentStatus.VALIDATING: 5,
    DeploymentStatus.CREATING_NAMESPACE: 15,
    DeploymentStatus.CREATING_SERVICES: 25,
    DeploymentStatus.SCALING_SERVICES: 55,
    DeploymentStatus.VERIFYING: 90,
    DeploymentStatus.COMPLETED: 100,
}
_ORDER: Final = tuple(PROGRESS)


def may_follow(before: DeploymentStatus, after: DeploymentStatus) -> bool:
    """Whether a deployment may go from `before` to `after`: onwards, or to a final state. A resumed one starts over
    from `validating`, so going back there is allowed as long as it is not final."""
    if before.is_final:
        return False
    if after in FINAL or after is DeploymentStatus.VALIDATING:
        return True
    return _ORDER.index(after) >= _ORDER.index(before)


@dataclass(frozen=True, slots=True)
class Release:
    """What a deployer brings out: the rendered objects of one tenant, in dependency order.

    `before` is `Deployer.snapshot` as it was before the first try; None: nobody has looked yet.
    """

    deployment_id: str
    tenant_id: str
    namespace: str
    objects: tuple[Mapping[str, Any], ...]
    before: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class DeployedObject:
    """One object as a deployer left it. `status`: `created`, `configured`, `unchanged`, `pruned` or `pending`.

    `replicas` is `ready/desired` for workloads.
    """

    kind: str
    name: str
    status: str
    replicas: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What `Deployer.apply` did. `changed` False: everything was there already. `unseen`: why nobody has seen the
    release run; "": it was seen."""

    changed: bool
    objects: tuple[DeployedObject, ...] = ()
    message: str = ""
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    at: datetime
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """A deployment as stored. `forced_because` is set when the deploy gate was overruled."""

    deployment_id: str
    # The tenant's number and its public name, which may have become another's.
    tenant: int
    tenant_id: str
    method: str
    status: DeploymentStatus
    progress: int
    message: str
    created_at: datetime
    # None: the row a new tenant has before anybody deploys it.
    requested_at: datetime | None
    finished_at: datetime | None
    requested_by: str = ""
    forced_because: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0
    # What ran before, as long as this runs.
    before: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)
    objects: tuple[DeployedObject, ...] = ()
    logs: tuple[LogLine, ...] = field(default=(), repr=False)
