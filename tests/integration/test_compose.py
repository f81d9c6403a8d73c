"""deploy/compose.yaml: what it names exists, and its processes start here with the same commands and environments."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import click
import pytest
import yaml

from ecpmon.cli import cli
from ecpmon.local.packages import Binaries
from ecpmon.settings import Settings
from tests.integration.serving import Serving, until_ready
from tests.processes import bound
from tests.waiting import PATIENCE, until

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "ECPMON_IMAGE" in service["image"]]
# Which end by themselves.
ENDING = {"migrate", "backup"}
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")
# Of the Compose specification, what is made use of.
KEYS = {
    "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "logging", "mem_limit",
    "networks", "ports", "profiles", "read_only", "restart", "secrets", "security_opt", "shm_size",
    "stop_grace_period", "tmpfs", "user", "volumes",
}  # fmt: skip
# What listens where, inside.
LISTEN = {
    "backend": 8001, "k8s-simulator-backend": 8000, "postgres": 5432, "postgres-demo": 5432, "redis": 6379,
    "prometheus": 9090, "alertmanager": 9093, "grafana": 3000,
}  # fmt: skip
# Of the source documents; the simulator has no database and no Redis of its own, and 6380 is Redis.
PORTS = {8001, 3000, 6360, 6370, 6390, 5433, 5434, 6380, 9090, 9093, 3001}


def with_defaults(text: str) -> str:
    return VARIABLE.sub(lambda found: found[2], text)


def parsed(arguments: list[str]) -> None:
    """Raises for a command or an option that is not there."""
    command: click.Command | None = cli
    words = list(arguments)
    with click.Context(cli) as context:
        while isinstance(command, click.Group):
            command = command.get_command(context, words.pop(0))
            assert command is not None, arguments
        command.make_context("compose", words)


@pytest.mark.parametrize("name", OURS)
def test_every_command_variable_and_secret_of_ours_exists(name: str, tmp_path: Path) -> None:
    service, fields = SERVICES[name], Settings.model_fields
    parsed(service["command"])
    for variable in service.get("environment", {}):
        field = fields.get(variable.removeprefix("ECPMON_").lower())
        assert variable == "ECPMON_SECRETS_DIR" or field is not None, variable
        assert variable == "ECPMON_REDIS_URL" or "Secret" not in str(field and field.annotation), variable
    for secret in service.get("secrets", ()):
        assert "Secret" in str(fields[secret.removeprefix("ecpmon_")].annotation)
    assert (service["user"], service["read_only"], service["cap_drop"]) == ("10001:10001", True, ["ALL"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_what_keeps_a_machine_well(name: str) -> None:
    service = SERVICES[name]
    assert service.keys() <= KEYS
    assert service["mem_limit"]
    assert service["logging"]["options"]["max-size"]
    assert name in ENDING or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert name in ENDING or service["restart"] == "unless-stopped"
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], source
    for secret in service.get("secrets", ()):
        assert secret in COMPOSE["secrets"]
    for other in service.get("depends_on", ()):
        assert other in SERVICES


def test_ports_are_those_of_the_source_documents_each_once_and_lead_to_who_listens() -> None:
    published = [
        (*with_defaults(port).split(":"), name)
        for name, service in SERVICES.items()
        for port in service.get("ports", ())
    ]
    assert {int(host) for _, host, _, _ in published} == PORTS
    assert len(published) == len(PORTS)
    for address, _, inside, name in published:
        assert (address, int(inside)) == ("127.0.0.1", LISTEN[name])


def test_who_is_named_in_a_url_is_a_service_that_listens_there() -> None:
    texts = [yaml.safe_dump(SERVICES), *(p.read_text() for p in DEPLOY.glob("compose/*/*.yml"))]
    texts.append((DEPLOY / "secrets.sh").read_text())
    named = {found for text in texts for found in re.findall(r"(?:://|@|\")([a-z][a-z0-9-]*):(\d+)", text)}
    assert {name for name, _ in named} >= {
        "postgres",
        "postgres-demo",
        "k8s-simulator-backend",
        "backend",
        "redis",
    }
    assert named <= {(name, str(port)) for name, port in LISTEN.items()}


def test_every_variable_is_in_the_example_with_its_default() -> None:
    lines = [line for line in (DEPLOY / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    used = dict(VARIABLE.findall((DEPLOY / "compose.yaml").read_text()))
    assert dict(line.split("=", 1) for line in lines) == used


def secrets_in(folder: Path) -> dict[str, str]:
    subprocess.run([DEPLOY / "secrets.sh", folder], check=True)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_secrets_are_made_once_and_nobody_else_comes_near_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    made = secrets_in(folder)
    assert {f"./secrets/{name}" for name in made} == {given["file"] for given in COMPOSE["secrets"].values()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    random = [value for name, value in made.items() if "url" not in name and name != "alertmanager_token"]
    assert len(set(random)) == len(random)
    assert all(len(value) >= 32 for value in random)
    for name in ("ecpmon_database_url", "ecpmon_demo_database_url"):
        assert f":{made['postgres_password']}@" in made[name]
    assert secrets_in(folder) == made


def test_prometheus_and_alertmanager_take_their_configuration(
    stack_binaries: Binaries, tmp_path: Path
) -> None:
    rules = DEPLOY.parent / "rules" / "prometheus"
    mounted = SERVICES["prometheus"]["volumes"][1]
    assert mounted == "../rules/prometheus:/etc/prometheus/rules:ro"
    text = (DEPLOY / "compose/prometheus/prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/rules", str(rules)))
    commands = [
        [stack_binaries.promtool, "check", "config", tmp_path / "prometheus.yml"],
        [stack_binaries.amtool, "check-config", DEPLOY / "compose/alertmanager/alertmanager.yml"],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stdout + done.stderr


async def test_the_same_processes_start_with_the_same_environment(
    make_database: Callable[[], str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Names of services become this machine's ports, and paths inside those of a folder; nothing else is changed."""
    secrets_in(tmp_path / "secrets")
    databases = {"ecpmon_database_url": make_database(), "ecpmon_demo_database_url": make_database()}
    for name, url in databases.items():
        (tmp_path / "secrets" / name).chmod(0o600)
        (tmp_path / "secrets" / name).write_text(url)
    # Roles are the whole server's, and other tests have theirs.
    for name in ("ecpmon_sql_password", "ecpmon_sql_demo_password", "ecpmon_sql_reader_password"):
        (tmp_path / "secrets" / name).unlink()
    ports = {"k8s-simulator-backend": free_port(), "backend": free_port()}
    places = {
        "/run/secrets": str(tmp_path / "secrets"),
        "/var/lib/simulator": str(tmp_path),
        "0.0.0.0": "127.0.0.1",
        **{f"{name}:{LISTEN[name]}": f"127.0.0.1:{port}" for name, port in ports.items()},
    }

    def here(text: str) -> str:
        for inside, outside in places.items():
            text = with_defaults(text).replace(inside, outside)
        return text

    async def start(name: str, **more: str) -> asyncio.subprocess.Process:
        service = SERVICES[name]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_")}
        given = {key: here(value) for key, value in service.get("environment", {}).items()}
        words = [here(word) for word in service["command"]]
        if name == "k8s-simulator-backend":
            words[words.index("8000")] = str(ports[name])
        argv = bound([sys.executable, "-m", "ecpmon", *words])
        return await asyncio.create_subprocess_exec(*argv, env=inherited | given | more)

    assert await (await start("migrate")).wait() == 0
    simulator = await start("k8s-simulator-backend")
    backend = await start("backend", ECPMON_PORT=str(ports["backend"]), ECPMON_FRONTS="1")
    try:
        async with aiohttp.ClientSession() as session:
            await until_ready(Serving(f"http://127.0.0.1:{ports['backend']}", backend, session))
            await until(lambda: answers(session, ports["k8s-simulator-backend"]), "the simulator answers")
            url = f"http://127.0.0.1:{ports['backend']}"
            async with session.get(f"{url}/ready") as ready:
                components = (await ready.json())["components"]
            assert {name: part["ok"] for name, part in components.items()} == {
                "production": True,
                "demo": True,
            }
            async with (
                session.get(f"{url}/api/v1/tenants/") as refused,
                session.get(f"{url}/metrics") as metrics,
            ):
                assert (refused.status, metrics.status) == (401, 200)
    finally:
        for process in (backend, simulator):
            process.terminate()
            await process.wait()


async def answers(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
