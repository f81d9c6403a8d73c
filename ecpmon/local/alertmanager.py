"""Alertmanager of the embedded stack: everything goes to our own webhook."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from ecpmon.local.packages import Binaries
from ecpmon.local.paths import ServiceUser, make_private_dir
from ecpmon.local.ports import PortPlan
from ecpmon.local.postgres import write_private

WEBHOOK_PATH = "/api/v1/webhooks/tenant-alert"


def render_alertmanager_config(ports: PortPlan, *, bearer_token: str | None = None) -> str:
    """alertmanager.yml. Waiting times are short: one machine, few alerts, somebody is watching."""
    webhook: dict[str, Any] = {
        "url": f"http://127.0.0.1:{ports.api}{WEBHOOK_PATH}",
        "send_resolved": True,
    }
    if bearer_token is not None:
        webhook["http_config"] = {"authorization": {"type": "Bearer", "credentials": bearer_token}}
    config: dict[str, Any] = {
        "route": {
            "receiver": "ecpmon",
            "group_by": ["alertname", "tenant_id"],
            "group_wait": "1s",
            "group_interval": "5s",
            "repeat_interval": "4h",
        },
        "receivers": [{"name": "ecpmon", "webhook_configs": [webhook]}],
    }
    return yaml.safe_dump(config, sort_keys=False)


def prepare_alertmanager(
    folder: Path, ports: PortPlan, user: ServiceUser | None, *, bearer_token: str | None = None
) -> None:
    """Write the configuration into `folder`."""
    make_private_dir(folder, user)
    make_private_dir(folder / "data", user)
    write_private(
        folder / "alertmanager.yml", render_alertmanager_config(ports, bearer_token=bearer_token), user
    )


def alertmanager_argv(binaries: Binaries, folder: Path, port: int) -> tuple[str, ...]:
    """The command line; the working directory must be `binaries.prometheus_root`."""
    return (
        os.fspath(binaries.alertmanager),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # no gossip: there is only one
    )
