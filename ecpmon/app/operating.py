"""What administrators set over HTTP, taken in by this process: at its start, and whenever the bus tells of a change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from ecpmon.app.rounds import Rounds
from ecpmon.model.bus import BusKind, BusRow
from ecpmon.model.operating import DeploymentSettings, Method, MonitoringSettings, OperatingSettings
from ecpmon.model.samples import Source
from ecpmon.model.tenants import DEFAULT_TARGET
from ecpmon.settings import Settings
from ecpmon.storage.operating import PgOperating

if TYPE_CHECKING:
    from ecpmon.app.backend import BackendRuntime


def base_of(settings: Settings, *, demo: bool) -> OperatingSettings:
    """What counts where nothing is set. Not checked: a URL of the environment may hold what one of ours may not."""
    endpoint = settings.simulator_of(demo=demo)
    return OperatingSettings.model_construct(
        deployment=DeploymentSettings.model_construct(
            deploymentMethod=_method(settings),
            deploymentEndpoint=endpoint,
            validationStrict=False,
        ),
        monitoring=MonitoringSettings.model_construct(
            monitoringStack="all",
            slaTarget=float(DEFAULT_TARGET),
            realTimeMonitoring=True,
            dataCollectionInterval=settings.simulator_interval,
        ),
    )


def _method(settings: Settings) -> Method:
    """The first that is configured."""
    if settings.simulator_url or not (settings.kubeconfig or settings.gitops_url):
        return "k8s-simulator"
    return "kubernetes" if settings.kubeconfig else "gitops"


class SettingsFeed:
    """A listener of the bus."""

    def __init__(self, operating: PgOperating) -> None:
        self._operating = operating
        self.rounds = Rounds("settings", operating.refresh)

    def rows(self, rows: Sequence[BusRow]) -> None:
        if any(row.kind == BusKind.SETTINGS for row in rows):
            self.rounds.wake()

    def restart(self) -> None:
        self._operating.forget()
        self.rounds.wake()

    def doubt(self) -> None:
        """Changes are still told, but later: no setting is in such a hurry."""


def operate(runtime: BackendRuntime, current: OperatingSettings) -> None:
    """Have `current` count in this process. Where tenants are deployed to is as it was at the first call."""
    if not runtime.operating.began:
        _move(runtime, current.deployment.deploymentEndpoint)
    monitoring = current.monitoring
    if monitoring.dataCollectionInterval is not None:
        runtime.intervals.simulator = timedelta(seconds=monitoring.dataCollectionInterval)
        runtime.jobs.change_period(f"collect_{Source.SIMULATOR.value}", monitoring.dataCollectionInterval)
    if runtime.work:
        runtime.work.operate(monitoring)


def _move(runtime: BackendRuntime, endpoint: str | None) -> None:
    if endpoint is None or runtime.simulator is None or endpoint == runtime.simulator.url:
        return
    from ecpmon.orchestrator.deployers.kubernetes import KubernetesDeployer

    runtime.simulator.url = endpoint
    deployer = runtime.deployments.deployers.get("simulator")
    if isinstance(deployer, KubernetesDeployer):
        deployer.move(endpoint)
    if runtime.work:
        runtime.work.pulling.move(endpoint)
