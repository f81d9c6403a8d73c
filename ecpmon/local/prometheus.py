"""Prometheus of the embedded stack: its configuration, command line and rule files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from ecpmon.local.packages import Binaries
from ecpmon.local.paths import ServiceUser, make_private_dir
from ecpmon.local.ports import PortPlan
from ecpmon.local.postgres import write_private

SCRAPE_INTERVAL = "15s"
# As often as ecpmon itself asks the simulator, so that both see an outage equally soon.
SIMULATOR_INTERVAL = "5s"
LOOKBACK_DELTA = (
    "40s"  # a little over two scrapes: what stopped reporting vanishes soon, one lost scrape does not
)
RETENTION = "30d"
_DISCOVERY = Path("scrape/kubernetes_sd.yml")
_WRITTEN_FOR = "127.0.0.1:6360"  # the simulator's own port, in that file


def render_prometheus_config(ports: PortPlan, *, rules_glob: str, discovery: Path | None = None) -> str:
    """prometheus.yml: scrape the simulator and our API, evaluate our rules, alert the Alertmanager.

    `discovery`: a file of more that is scraped, what service discovery finds in the simulated cluster.
    """
    config: dict[str, Any] = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": [rules_glob],
        "alerting": {"alertmanagers": [{"static_configs": [_target(ports.alertmanager)]}]},
        "scrape_configs": [
            # the simulator speaks for many tenants and nodes: its labels are the true ones
            {
                "job_name": "simulator",
                "honor_labels": True,
                "scrape_interval": SIMULATOR_INTERVAL,
                "static_configs": [_target(ports.simulator)],
            },
            {"job_name": "ecpmon", "static_configs": [_target(ports.api)]},
        ],
    }
    if discovery is not None:
        config["scrape_config_files"] = [os.fspath(discovery)]
    return yaml.safe_dump(config, sort_keys=False)


def _target(port: int) -> dict[str, list[str]]:
    return {"targets": [f"127.0.0.1:{port}"]}


def prepare_prometheus(
    folder: Path, ports: PortPlan, rules: Path | None, user: ServiceUser | None, *, scrape_pods: bool = False
) -> None:
    """Write the configuration and copy the rule files into `folder`, where the service user can read them.

    `scrape_pods`: also scrape the simulated cluster's pods, kubelets and kube-state-metrics, by service discovery.
    """
    make_private_dir(folder, user)
    make_private_dir(folder / "data", user)
    copies = folder / "rules"
    shutil.rmtree(copies, ignore_errors=True)
    make_private_dir(copies, user)
    for source in _rule_files(rules):
        write_private(copies / source.name, source.read_text(), user)
    discovery = None
    if scrape_pods and rules is not None:
        discovery = folder / _DISCOVERY.name
        text = (rules / _DISCOVERY).read_text().replace(_WRITTEN_FOR, f"127.0.0.1:{ports.simulator}")
        write_private(discovery, text, user)
    config = render_prometheus_config(ports, rules_glob=str(copies / "*.yml"), discovery=discovery)
    write_private(folder / "prometheus.yml", config, user)


def _rule_files(rules: Path | None) -> Iterable[Path]:
    return sorted(rules.glob("*.yml")) if rules is not None and rules.is_dir() else ()


def prometheus_argv(binaries: Binaries, folder: Path, port: int) -> tuple[str, ...]:
    """The command line."""
    pages = binaries.prometheus_root / "usr/share/prometheus/web"
    consoles = binaries.prometheus_root / "etc/prometheus"
    return (
        os.fspath(binaries.prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--storage.tsdb.retention.time={RETENTION}",
        f"--query.lookback-delta={LOOKBACK_DELTA}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.local-assets={pages}",
        f"--web.console.templates={consoles / 'consoles'}",
        f"--web.console.libraries={consoles / 'console_libraries'}",
    )
