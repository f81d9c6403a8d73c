"""Manifests and deployments."""

# Without postponed annotations: with them Python does not know what is required.
from typing import Any, NotRequired, TypedDict

from ecpmon.client.types.common import Bounds


class Finding(TypedDict):
    severity: str
    category: str
    code: str
    document: int | None
    object: str | None
    path: str | None
    message: str
    line: NotRequired[int | None]


class ManifestReport(TypedDict):
    """`warnings` and `errors` are one text for each; `findings` has the same in parts."""

    valid: bool
    warnings: list[str]
    errors: list[str]
    findings: list[Finding]
    simulator_compatible: bool
    pod_security: str
    resource_summary: dict[str, Any]
    estimated_cost: str | None
    deployment_time: str | None


class DeploymentBegun(TypedDict):
    """`deployment_id` None: a dry run, with what validation says beside it."""

    deployment_id: str | None
    status: str
    valid: NotRequired[bool]
    errors: NotRequired[list[str]]
    warnings: NotRequired[list[str]]
    findings: NotRequired[list[Finding]]


class CreatedResource(TypedDict):
    type: str
    name: str
    status: str
    replicas: str | None


class PendingResource(TypedDict):
    type: str
    name: str
    status: str


class LogLine(TypedDict):
    timestamp: str
    level: str
    message: str


class Deployment(TypedDict):
    tenant_id: str
    deployment_id: str
    method: str
    status: str
    progress: int
    phase: str
    message: str
    created_resources: list[CreatedResource]
    pending_resources: list[PendingResource]
    created_at: str
    finished_at: str | None
    estimated_completion: str | None
    requested_by: str
    forced_because: str | None
    burned_minutes: float | None
    burned_bounds: Bounds
    burned_coverage: float | None
    logs: list[LogLine]


class Deployments(TypedDict):
    tenant_id: str
    deployments: list[Deployment]


class DeploymentReport(TypedDict):
    deployment_id: str
    status: str


class DeploymentStep(TypedDict):
    deployment_id: str
    status: str
    progress: int
    phase: str
    message: str


class SimulatorDeployment(TypedDict):
    status: str
    deployment_id: str
    simulator_dashboard: str
    resources_count: int
    sla_monitoring: bool
    failure_scenario: str | None
