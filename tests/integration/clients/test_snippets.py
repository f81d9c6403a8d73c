"""What stands on pages as a body, an answer, a command or a program is one, as the service sees it."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from ecpmon.cli import cli
from ecpmon.client import ECPClient
from tests.integration.clients.conftest import Application
from tests.waiting import PATIENCE

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


def ask(application: Application, method: str, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{application.base_url}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)


@pytest.mark.parametrize(
    ("page", "method", "path"),
    [
        ("evidence.md", "PUT", "/tenants/{}/evidence-profile"),
        ("remote-write.md", "PUT", "/tenants/{}/evidence-profile"),
        ("exclusions.md", "POST", "/exclusions"),
        ("service-hours.md", "PUT", "/tenants/{}"),
        ("objectives.md", "PUT", "/tenants/{}/objectives/shop"),
    ],
)
def test_a_body_on_a_page_is_taken(page: str, method: str, path: str, application: Application) -> None:
    [shown] = blocks(page, "json")
    body = json.loads(re.sub(r"^(PUT|POST) .*\n", "", shown))
    if "start" in body:  # those of the past are entered for so long only
        body["start"] = f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%dT22:00:00}"
    status, answer = ask(application, method, path.format(application.tenant()), body)
    assert status < 300, answer


def test_a_refusal_has_the_shape_of_the_page(application: Application) -> None:
    [shown] = blocks("errors.md", "json")
    told = json.loads(shown)["error"]
    body = {"status": "completed", "deployed_at": "1900-01-01T00:00:00Z"}
    status, answer = ask(application, "POST", f"/tenants/{application.tenant()}/deployment-status", body)
    error = answer["error"]
    assert (status, error.keys(), error["code"]) == (422, told.keys(), told["code"])
    assert error["details"] == told["details"]


def test_rules_are_written_as_shown(application: Application, tmp_path: Path) -> None:
    [shown] = [block for block in blocks("alerts.md", "") if "ecpmon rules" in block]
    for line in shown.splitlines()[:2]:  # the third checks them with promtool
        command = line.partition("  #")[0].replace("/etc/prometheus/rules", str(tmp_path))
        environment = {"ECPMON_DATABASE_URL": application.dsn}
        done = CliRunner(env=environment).invoke(cli, shlex.split(command)[1:])
        assert done.exit_code == 0, (line, done.output, done.exception)


def test_the_python_client_is_used_as_shown(application: Application) -> None:
    begun, batches, _ = blocks("clients.md", "python")
    # No cluster is here but the simulated one.
    begun = begun.replace('"kubernetes"', '"simulator"').replace('"http://localhost:8001/api/v1"', "BASE")
    readings = [SimpleNamespace(cpu=40.0 + n, at=datetime.now(UTC)) for n in range(3)]
    known: dict[str, Any] = {"BASE": application.base_url, "readings": readings}
    exec(begun + textwrap.indent(batches, "    "), known)
    with ECPClient(application.base_url) as client:
        assert client.get_tenant("my-service")["status"] == "running"
