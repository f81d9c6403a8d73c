"""How Grafana is started beside the stack, where it is installed; nothing here starts it."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PORT: Final = 3001
_PROGRAMS: Final = ("grafana", "grafana-server")


def how_to_start(
    folder: Path, prometheus: str, postgres_port: int, find: Callable[[str], str | None] = shutil.which
) -> str | None:
    """The command for a shell; None where there is no Grafana. `folder`: our `grafana/`."""
    program = next((found for name in _PROGRAMS if (found := find(name))), None)
    if program is None:
        return None
    environment = {
        "ECPMON_GRAFANA_HOST": f"{urlsplit(prometheus).hostname}:{postgres_port}",
        "ECPMON_GRAFANA_USER": "ecp_reader",
        "ECPMON_GRAFANA_PASSWORD": "ecp_reader_password",
        "ECPMON_GRAFANA_DATABASE": "ecp_orchestrator",
        "ECPMON_GRAFANA_SSLMODE": "disable",
        "ECPMON_GRAFANA_PROMETHEUS": prometheus,
        "ECPMON_GRAFANA_DASHBOARDS": str(folder / "dashboards"),
        # Nobody is told until these name somebody; Grafana does not start without them.
        "ECPMON_GRAFANA_SLACK_URL": "http://127.0.0.1:9/slack",
        "ECPMON_GRAFANA_EMAIL": "nobody@example.invalid",
        "ECPMON_GRAFANA_WEBHOOK_URL": "http://127.0.0.1:9/webhook",
        "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
        "GF_SERVER_HTTP_PORT": str(PORT),
    }
    named = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    return " ".join([*named, program, *(["server"] if Path(program).name == "grafana" else [])])
