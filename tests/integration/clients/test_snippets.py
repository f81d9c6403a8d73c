"""What stands on pages as a body, an answer, a command or a program is one, as the service sees it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import textwrap
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from click.testing import CliRunner
from pydantic import Field

from ecpmon.api.common import reply
from ecpmon.api.routing import Permission, Routes
from ecpmon.cli import cli
from ecpmon.cli.imports import of_prometheus
from ecpmon.client import ECPClient
from ecpmon.errors import NotFound, ValidationFailed
from ecpmon.local.packages import Binaries
from ecpmon.openapi import declaring
from tests.integration.clients.conftest import Application
from tests.waiting import PATIENCE

DOCS = Path(__file__).parents[3] / "docs"


def blocks(page: str, kind: str) -> list[str]:
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced.findall((DOCS / page).read_text(encoding="utf-8")) if name == kind]


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


def run(application: Application, command: str) -> str:
    """What a command of a page prints, asked here."""
    environment = {"ECPMON_DATABASE_URL": application.dsn}
    done = CliRunner(env=environment).invoke(cli, shlex.split(command)[1:])
    assert done.exit_code == 0, (command, done.output, done.exception)
    return done.stdout


def test_rules_are_written_and_checked_as_shown(
    application: Application, stack_binaries: Binaries, tmp_path: Path
) -> None:
    [shown] = [block for block in blocks("alerts.md", "") if "ecpmon rules" in block]
    commands = [line.partition("  #")[0] for line in shown.splitlines()]
    assert [command.split()[2] for command in commands] == ["render", "render", "check"]
    for command in commands:
        here = command.replace("/etc/prometheus/rules", str(tmp_path))
        said = run(
            application, here + (f" --promtool {stack_binaries.promtool}" if "check" in command else "")
        )
    assert "SUCCESS" in said


def test_a_prometheus_takes_the_configuration_of_the_page(stack_binaries: Binaries, tmp_path: Path) -> None:
    [shown] = blocks("remote-write.md", "yaml")
    token, file = tmp_path / "token", tmp_path / "prometheus.yml"
    token.write_text("ecp_x")
    file.write_text(shown.replace("/etc/prometheus/ecpmon.token", str(token)))
    done = subprocess.run(
        [stack_binaries.promtool, "check", "config", file], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_history_is_imported_as_shown(
    application: Application, stack_binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for what asks a VictoriaMetrics; asking a Prometheus is read only (test_importing_prometheus.py runs it)."""
    monkeypatch.chdir(tmp_path)
    name, begin = application.tenant(), int(datetime.now(UTC).timestamp()) // 3600 * 3600 - 86_400
    times = range(begin, begin + 600, 60)
    text = "".join(f'probe_success{{job="acme"}} 1 {at}\n' for at in times)
    Path("probes.txt").write_text(f"# TYPE probe_success gauge\n{text}# EOF\n")
    line = {"metric": {"__name__": "up", "tenant_id": name}, "values": [1] * 10}
    Path("export.jsonl").write_text(json.dumps(line | {"timestamps": [1000 * at + 60_000 for at in times]}))
    Path("measurements.csv").write_text("timestamp,cpu\n" + "".join(f"{at},40\n" for at in times))
    snapshot = tmp_path / "prometheus" / "snapshots" / "20261128T0900Z"
    made = [stack_binaries.promtool, "tsdb", "create-blocks-from", "openmetrics", "probes.txt", snapshot]
    subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)

    [shown] = blocks("howto/import.md", "console")
    commands = [line[2:].partition("  #")[0] for line in shown.splitlines() if line]
    fetched, *others, asked = commands
    assert fetched.startswith("curl ")
    said = []
    for command in others:
        here = command.replace("/tmp", str(tmp_path)).replace(" /prometheus/", f" {snapshot.parents[1]}/")
        if here.startswith("ecpmon "):
            said.append(run(application, here.replace("--tenant acme", f"--tenant {name}")))
        else:
            here = re.sub("^promtool", str(stack_binaries.promtool), here)
            subprocess.run(["bash", "-ec", here], check=True, capture_output=True, timeout=PATIENCE)
    assert said == ["10 samples are stored\n"] * 3
    words = shlex.split(asked)
    assert words[:3] == ["ecpmon", "import", "prometheus"]
    read = of_prometheus.make_context("prometheus", words[3:]).params
    assert (read["selector"], read["since"], read["tenant_id"]) == (
        '{job="acme"}', timedelta(days=15), "acme"
    )  # fmt: skip


async def test_a_route_is_declared_as_shown() -> None:
    [shown] = blocks("contract.md", "python")
    routes = Routes()

    async def known_tokens(skip: int) -> list[dict[str, Any]]:
        return [{"id": skip, "expires_at": None}]

    known: dict[str, Any] = {
        **vars(declaring),
        "Permission": Permission,
        "NotFound": NotFound,
        "reply": reply,
    }
    known |= {"routes": routes, "web": web, "Annotated": Annotated, "Field": Field, "datetime": datetime}
    known["known_tokens"] = known_tokens
    exec(compile(shown, "contract.md", "exec", dont_inherit=True), known)
    [route] = routes.table
    answer = await route.handler(make_mocked_request("GET", "/api/v1/tokens?skip=5"))
    assert isinstance(answer, web.Response)
    assert answer.body == b'{"tokens":[{"id":5,"expires_at":null}]}'
    with pytest.raises(ValidationFailed, match="skip"):
        await route.handler(make_mocked_request("GET", "/api/v1/tokens?skip=-1"))


def test_the_python_client_is_used_as_shown(application: Application) -> None:
    begun, batches, _ = blocks("clients.md", "python")
    # No cluster is here but the simulated one.
    begun = begun.replace('"kubernetes"', '"simulator"').replace('"http://localhost:8001/api/v1"', "BASE")
    readings = [SimpleNamespace(cpu=40.0 + n, at=datetime.now(UTC)) for n in range(3)]
    known: dict[str, Any] = {"BASE": application.base_url, "readings": readings}
    exec(begun + textwrap.indent(batches, "    "), known)
    with ECPClient(application.base_url) as client:
        assert client.get_tenant("my-service")["status"] == "running"
