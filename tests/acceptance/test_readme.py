"""The README's walk-through and docs/sla.md, run as they stand against `ecpmon up`."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ecpmon.cli import cli
from ecpmon.local.ports import PortPlan
from ecpmon.storage.database import Database
from tests.grafana import (
    DASHBOARDS,
    MAY_BE_EMPTY,
    Question,
    expr_sent,
    questions,
    rows_of,
    rule_questions,
    sql_sent,
)
from tests.processes import bound
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


def section(name: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return text.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]


# Who reads along sees on the screen that it has happened; a slow machine may need longer than the page says.
SLEEP = 'sleep() { command sleep "$1"; curl -fsS "$RECEIVER"; }'


def blocks_of(page: str) -> list[str]:
    """The shell blocks of a page."""
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


def script(*blocks: str) -> str:
    """The first command that fails ends it."""
    return "\n".join(["set -e", SLEEP, *blocks])


class Hooks(http.server.BaseHTTPRequestHandler):
    """Takes webhooks; a GET is answered once there is one more of them than at the last."""

    bodies: list[dict[str, Any]]
    asked: list[None]

    def do_GET(self) -> None:
        self.asked.append(None)
        wait_until(lambda: len(self.bodies) >= len(self.asked), "another webhook")
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    bodies: list[dict[str, Any]] = []
    handler = type("Bound", (Hooks,), {"bodies": bodies, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", bodies
    server.shutdown()
    server.server_close()
    thread.join()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return json.load(answer)


def every_panel_has_something_to_show(api: str, ports: dict[str, int]) -> None:
    """Each question of Grafana's dashboards and rules, as the role for Grafana, while there is something to tell."""
    now = datetime.now(UTC)
    window = {"start": now.isoformat(), "duration": "1h", "reason": "a new database"}
    request = urllib.request.Request(
        f"{api}/api/v1/tenants/city-helpdesk/maintenance",
        json.dumps(window).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=PATIENCE).close()
    asked = [question for path in DASHBOARDS for question in questions(path)] + [*rule_questions()]
    left = [question for question in asked if question.where.partition(": ")[2] not in MAY_BE_EMPTY]
    dsn = f"postgresql://ecp_reader:ecp_reader_password@127.0.0.1:{ports['postgres']}/ecp_orchestrator"

    async def unanswered() -> list[str]:
        database = Database(dsn, max_connections=1)
        try:
            return [question.where for question in left if not await rows(database, question)]
        finally:
            await database.close()

    async def rows(database: Database, question: Question) -> list[Any]:
        if question.sql is not None:
            span = now - timedelta(hours=1), datetime.now(UTC)
            return list(await database.fetch(sql_sent(question.sql, "city-helpdesk", *span)))
        query = urllib.parse.quote(expr_sent(question.expr or ""))
        return rows_of(get(f"http://127.0.0.1:{ports['prometheus']}/api/v1/query?query={query}"))

    wait_until(lambda: not (empty := asyncio.run(unanswered())) or print(empty), "every panel has rows")


def the_doctor_finds_all_parts_well(api: str, ports: dict[str, int], folder: Path) -> None:
    """`ecpmon doctor` asks real parts as the service does, and the simulated cluster as any other."""
    simulator = f"http://127.0.0.1:{ports['simulator']}"
    with urllib.request.urlopen(f"{simulator}/kubeconfig", timeout=PATIENCE) as answer:
        (folder / "kubeconfig").write_bytes(answer.read())
    # The database is asked in `test_command_line`.
    environment = {
        "ECPMON_URL": api,
        "ECPMON_PROMETHEUS_URL": f"http://127.0.0.1:{ports['prometheus']}",
        "ECPMON_ALERTMANAGER_URL": f"http://127.0.0.1:{ports['alertmanager']}",
        "ECPMON_SIMULATOR_URL": simulator,
        "ECPMON_SMTP_HOST": "127.0.0.1",
        "ECPMON_SMTP_PORT": str(ports["smtp"]),
        "ECPMON_KUBECONFIG": str(folder / "kubeconfig"),
    }
    done = CliRunner(env=environment).invoke(cli, ["doctor", "--output", "json"])
    found = json.loads(done.stdout)["findings"]
    well = {each["subject"] for each in found if each["level"] == "ok"}
    assert well >= {
        "service",
        "prometheus",
        "prometheus clock",
        "alertmanager",
        "simulator",
        "cluster",
        "mail",
    }, found
    assert {each["subject"] for each in found if each["level"] == "error"} <= {"database"}, found


def test_the_walk_through_does_what_it_says(
    shared_tmp: Path, free_port: Callable[[], int], receiver: tuple[str, list[dict[str, Any]]]
) -> None:
    ports = {name: free_port() for name in PortPlan().roles()}
    argv = [sys.executable, "-m", "ecpmon", "up", "--directory", str(shared_tmp)]
    argv += [f"--{name}-port={port}" for name, port in ports.items()]
    log = (shared_tmp / "up.log").open("wb")
    keep = {k: v for k, v in os.environ.items() if not k.startswith("ECPMON_DATABASE")}
    stack = subprocess.Popen(
        bound(argv, signal.SIGINT), stdout=log, stderr=log, env=keep, start_new_session=True
    )
    try:
        api = f"http://127.0.0.1:{ports['api']}"

        def up() -> bool:
            assert stack.poll() is None, (shared_tmp / "up.log").read_text()
            return "state=up" in (shared_tmp / "up.log").read_text()

        wait_until(up, "the table shows the tenants")
        url, bodies = receiver
        catcher = f"http://127.0.0.1:{ports['mail']}"
        environment = {**keep, "API": api, "RECEIVER": url, "OUT": str(shared_tmp), "MAIL": catcher}

        def follow(*blocks: str) -> None:
            done = subprocess.run(
                ["bash", "-c", script(*blocks)], env=environment,
                capture_output=True, text=True, timeout=3 * PATIENCE, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr

        walk = blocks_of(section("Break a tenant and watch"))
        names, broken = walk[0], next(n for n, block in enumerate(walk, 1) if "/incidents" in block)
        follow(*walk[:broken])
        wait_until(lambda: [b["status"] for b in bodies] == ["firing", "resolved"], "one webhook each")

        def mails() -> list[tuple[str, str]]:
            found = get(f"{catcher}/messages")["messages"]
            return [(m["to"], m["subject"]) for m in found if "too_many_errors" in m["subject"]]

        subjects = [f"[{state}] too_many_errors (city-helpdesk)" for state in ("RESOLVED", "FIRING")]
        wait_until(lambda: mails() == [("admin@company.com", s) for s in subjects], "one mail each")
        incidents = get(f"{api}/api/v1/tenants/city-helpdesk/incidents")["incidents"]
        assert len(incidents) == 1
        truth = get(f"http://127.0.0.1:{ports['simulator']}/api/v1/truth/city-helpdesk")
        window = get(f"{api}/api/v1/tenants/city-helpdesk/sla?windows=1h")["windows"][0]
        eligible = window["eligible_minutes"] * 60
        least, most = (eligible * (1 - window["bounds"][end] / 100) for end in ("high", "low"))
        assert least <= truth["down_seconds"] <= most
        assert least <= incidents[0]["down_seconds"] <= most

        def states() -> list[str]:
            found = get(f"{api}/api/v1/tenants/city-helpdesk/alerts/deliveries")["deliveries"]
            return [d["status"] for d in found]

        wait_until(lambda: states() == ["sent"] * 4, "all of them are recorded")
        # A deployment replaces pods, and a service of one replica is away meanwhile: that may be told as well.
        follow(names, *walk[broken:])
        follow(*blocks_of((ROOT / "docs" / "sla.md").read_text("utf-8")))
        assert (shared_tmp / "statement.pdf").read_bytes().startswith(b"%PDF-")
        assert "state=down" in (shared_tmp / "up.log").read_text()
        every_panel_has_something_to_show(api, ports)
        the_doctor_finds_all_parts_well(api, ports, shared_tmp)
    finally:
        stack.send_signal(signal.SIGINT)
        code = stack.wait(PATIENCE)
        log.close()
    assert code == 0, (shared_tmp / "up.log").read_text()
    for name, port in ports.items():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{name} still runs"
