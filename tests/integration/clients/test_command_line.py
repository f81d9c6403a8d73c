"""`ecpmon tenants`, `sla`, `push` and the others against the running service, as a person types them."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from ecpmon.cli import cli
from tests.integration.clients.conftest import Application

DOCS = Path(__file__).parents[3] / "docs"


class Terminal:
    def __init__(self, application: Application) -> None:
        self.application = application

    def run(self, *arguments: str, input: str | None = None, **environ: str) -> Result:
        runner = CliRunner(env={"ECPMON_URL": self.application.url, "ECPMON_TOKEN": None, **environ})
        return runner.invoke(cli, arguments, input=input)

    def said(self, *arguments: str, input: str | None = None) -> str:
        done = self.run(*arguments, input=input)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.said(*arguments, "--output", "json"))


@pytest.fixture
def terminal(application: Application) -> Terminal:
    return Terminal(application)


def test_a_tenant_is_made_shown_changed_and_deleted_from_a_shell(terminal: Terminal, tmp_path: Path) -> None:
    name = terminal.application.name()
    document = tmp_path / "tenant.yaml"
    document.write_text(
        yaml.safe_dump({"tenant_id": name, "name": "Acme", "service_requirements": {"chatbot": 10}}),
        encoding="utf-8",
    )
    assert f"created {name}" in terminal.said("tenants", "create", str(document))
    assert name in terminal.said("tenants", "list")
    assert [row["name"] for row in terminal.json("tenants", "list") if row["tenant_id"] == name] == ["Acme"]
    terminal.said("tenants", "change", name, "-", input='{"name": "Acme Ltd"}')
    assert yaml.safe_load(terminal.said("tenants", "show", name, "-o", "yaml"))["name"] == "Acme Ltd"
    assert terminal.run("tenants", "delete", name, input="n\n").exit_code == 1
    terminal.said("tenants", "delete", name, "--yes")


def test_what_is_pushed_from_a_shell_is_in_the_figures(terminal: Terminal) -> None:
    name = terminal.application.tenant()
    assert terminal.said("push", name, "up=1", "cpu=12.5") == "2 stored, 0 rejected\n"
    windows = {
        row["window"]: row for row in terminal.json("sla", "show", name, "--windows", "1h,24h")["windows"]
    }
    assert windows["1h"]["availability"] == 100
    rows = list(csv.DictReader(io.StringIO(terminal.said("sla", "show", name, "-o", "csv"))))
    assert {row["window"] for row in rows} >= {"1h", "24h"}
    assert name in terminal.said("sla", "summary")
    assert terminal.json("incidents", name)["incidents"] == []


def test_what_is_rejected_is_named_and_the_exit_code_says_so(terminal: Terminal) -> None:
    done = terminal.run("push", terminal.application.tenant(), "up=1", "cpu=1e101")
    assert done.exit_code == 1
    assert "1 stored, 1 rejected" in done.stdout
    assert "cpu" in done.stderr


def test_maintenance_is_planned_listed_and_taken_back_from_a_shell(terminal: Terminal) -> None:
    name = terminal.application.tenant()
    planned = terminal.json(
        "maintenance",
        "add",
        name,
        "--start",
        f"{datetime.now(UTC).year + 1}-01-01T02:00:00Z",
        "--duration",
        "2h",
        "--reason",
        "new database",
    )
    assert "new database" in terminal.said("maintenance", "list", name)
    terminal.said("maintenance", "remove", name, planned["id"])
    assert terminal.json("maintenance", "list", name)["maintenance"] == []


def test_alert_rules_are_shown_with_their_states(terminal: Terminal) -> None:
    name = terminal.application.tenant()
    rules = terminal.json("alerts", name)["alerts"]
    assert all(rule["alert_name"] in terminal.said("alerts", name) for rule in rules)
    assert terminal.json("alerts", name, "--active")["alerts"] == []


def test_a_deployment_is_waited_for_step_by_step_and_has_its_log(terminal: Terminal) -> None:
    name = terminal.application.tenant()
    done = terminal.run("deploy", name, "--method", "simulator", "--wait")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("completed")
    assert f"100 %  {name}" in done.stderr
    logged = terminal.json("logs", name)["logs"]
    assert len(logged) > 1
    # For programs what is followed is a message a line.
    lines = terminal.said("logs", name, "--follow", "--output", "json").splitlines()
    assert [json.loads(line) for line in lines] == logged
    [heads, *rows] = csv.reader(io.StringIO(terminal.said("logs", name, "--follow", "--output", "csv")))
    assert [row[heads.index("message")] for row in rows] == [each["message"] for each in logged]
    documents = yaml.safe_load_all(terminal.said("logs", name, "--follow", "--output", "yaml"))
    assert [each["message"] for each in documents] == [each["message"] for each in logged]
    assert logged[0]["message"] in terminal.said("logs", name, "--follow").splitlines()[0]
    dry = terminal.run("deploy", name, "--method", "simulator", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "valid\n")


def test_an_error_says_what_to_do_next(terminal: Terminal) -> None:
    unknown = terminal.run("sla", "show", "nobody")
    assert unknown.exit_code == 1
    assert "nobody" in unknown.stderr
    assert "request req-" in unknown.stderr
    away = terminal.run("tenants", "list", ECPMON_URL="http://127.0.0.1:9")
    assert "what to do: see that ecpmon runs there" in away.stderr
    assert "Traceback" not in away.output


def test_words_of_the_service_are_korean_for_who_asks(terminal: Terminal) -> None:
    said = terminal.run("sla", "show", "nobody", "--language", "ko").stderr
    assert any("가" <= letter <= "힣" for letter in said)


def test_a_token_is_read_from_its_file_and_never_from_an_argument(terminal: Terminal, tmp_path: Path) -> None:
    empty = tmp_path / "token"
    empty.write_text("\n", encoding="utf-8")
    assert "is empty" in terminal.run("tenants", "list", "--token-file", str(empty)).stderr
    assert "--token " not in terminal.said("tenants", "list", "--help")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands(terminal: Terminal, shell: str) -> None:
    assert "_ECPMON_COMPLETE" in terminal.said("completion", shell)


def test_the_doctor_finds_a_sound_installation_sound_and_names_what_is_not(terminal: Terminal) -> None:
    sound = {
        "ECPMON_DATABASE_URL": terminal.application.dsn,
        "ECPMON_DEMO_DATABASE_URL": terminal.application.demo_dsn,
        "ECPMON_SIMULATOR_URL": terminal.application.simulator_url,
    }
    found = {row["subject"]: row for row in findings(terminal, **sound)}
    assert {
        found[name]["level"] for name in ("database", "demo_database", "database clock", "simulator")
    } == {"ok"}
    # How much is free there is no matter of ours.
    assert found["database disk"]["level"] in ("ok", "warning")
    assert "are free" in found["database disk"]["what"]
    ill = {
        **sound,
        "ECPMON_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/x",
        "ECPMON_PROMETHEUS_URL": terminal.application.url,
        "ECPMON_SMTP_HOST": "127.0.0.1",
        "ECPMON_SMTP_PORT": "9",
        "ECPMON_PROMETEUS_URL": "http://x",
    }
    worse = findings(terminal, **ill)
    assert {row["subject"] for row in worse if row["level"] == "error"} >= {"database", "prometheus", "mail"}
    slips = {row["what"]: row["todo"] for row in worse if row["subject"] == "settings"}
    assert slips["nobody reads ECPMON_PROMETEUS_URL"] == "did you mean ECPMON_PROMETHEUS_URL?"
    assert all(row["todo"] for row in worse if row["level"] == "error")


def findings(terminal: Terminal, **environ: str) -> list[dict[str, str]]:
    done = terminal.run("doctor", "--output", "json", **environ)
    rows: list[dict[str, str]] = json.loads(done.stdout)["findings"]
    assert done.exit_code == int(any(row["level"] == "error" for row in rows))
    return rows


@pytest.mark.parametrize("page", ["command-line.md", "start.md", "ko/start.md"])
def test_a_page_s_commands_do_what_it_shows(
    page: str, terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, document in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL):
        Path(name).write_text(document, encoding="utf-8")
    shown = re.findall(r"^\$ ecpmon (.*)$", text, re.MULTILINE)
    assert len(shown) > 5
    for line in shown:
        arguments = shlex.split(line.partition("   #")[0])
        if arguments[0] not in ("completion", "doctor"):
            done = terminal.run(*arguments)
            assert done.exit_code == 0, (line, done.output)
