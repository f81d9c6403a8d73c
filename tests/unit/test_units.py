"""The units of deploy/systemd: what they name exists, and systemd finds nothing wrong with them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from ecpmon.cli import cli
from ecpmon.local.machine import FRONT_STOP_SECONDS, START_SECONDS, WORKER_STOP_SECONDS
from ecpmon.settings import Settings
from tests.units import PROGRAM, SYSTEMD, command_of, read_environment, read_unit

UNITS = sorted((SYSTEMD / "system").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]


def tmpfiles() -> dict[str, tuple[str, str, str]]:
    """folder -> (mode, user, group)."""
    lines = (SYSTEMD / "tmpfiles.d" / "ecpmon.conf").read_text().splitlines()
    rows = [line.split() for line in lines if line.startswith("d ")]
    return {row[1]: (row[2], row[3], row[4]) for row in rows}


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_every_command_and_option_of_a_unit_exists(unit: Path) -> None:
    _, _, _, *arguments = command_of(unit)
    command = cli
    with click.Context(cli, **cli.context_settings) as context:
        while isinstance(command, click.Group):
            found = command.get_command(context, arguments.pop(0))
            assert found is not None
            command = found
        command.make_context(unit.name, arguments, parent=context)  # raises for an option that is not there


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_every_path_of_a_unit_is_made_by_what_is_installed(unit: Path) -> None:
    service, made = read_unit(unit)["Service"], tmpfiles()
    assert service["EnvironmentFile"] == ["/etc/ecpmon/ecpmon.env"]
    assert service["LoadCredential"] == ["ecpmon:/etc/ecpmon/credentials"]
    assert made["/etc/ecpmon/credentials"] == ("0700", "root", "root")
    users = (SYSTEMD / "sysusers.d" / "ecpmon.conf").read_text().split()
    assert (service["User"], service["Group"]) == ([users[1]], [users[1]])
    for path in service["ReadWritePaths"]:
        assert made[path][1:] == (users[1], users[1])


def test_every_variable_of_the_environment_is_a_setting_and_none_is_a_secret() -> None:
    for name in read_environment(SYSTEMD / "ecpmon.env"):
        field = Settings.model_fields[name.removeprefix("ECPMON_").lower()]
        assert "Secret" not in str(field.annotation), name


def test_the_times_of_the_service_leave_room_for_what_it_does_itself() -> None:
    service = read_unit(SYSTEMD / "system" / "ecpmon.service")["Service"]
    stall = Settings().watchdog_seconds
    assert service["Type"] == ["notify"]
    assert service["KillMode"] == ["mixed"]
    assert int(service["WatchdogSec"][0]) > START_SECONDS + stall
    assert FRONT_STOP_SECONDS + WORKER_STOP_SECONDS <= 25 < int(service["TimeoutStopSec"][0])


def install(root: Path) -> None:
    subprocess.run([SYSTEMD / "install.sh", "--root", root], check=True)


def test_what_is_in_etc_is_left_as_it_is_when_it_is_installed_again(tmp_path: Path) -> None:
    install(tmp_path)
    settings = tmp_path / "etc/ecpmon/ecpmon.env"
    assert settings.read_text() == (SYSTEMD / "ecpmon.env").read_text()
    settings.write_text("ECPMON_PORT=8002\n")
    install(tmp_path)
    assert settings.read_text() == "ECPMON_PORT=8002\n"
    installed = {path.name for path in (tmp_path / "usr/lib/systemd/system").iterdir()}
    assert installed == {unit.name for unit in UNITS}


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd here")
    for unit in UNITS:
        # Its program is looked for on this machine.
        text = unit.read_text().replace(PROGRAM, "/bin/true")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", *(str(tmp_path / unit.name) for unit in UNITS)], capture_output=True, text=True
    )
    about_ours = [line for line in (done.stdout + done.stderr).splitlines() if "ecpmon" in line]
    assert about_ours == []
    assert done.returncode == 0, done.stderr


def test_the_service_may_do_little_else() -> None:
    """Of every service: no new rights, nothing written but what is its own."""
    for unit in SERVICES:
        service = read_unit(unit)["Service"]
        assert service["NoNewPrivileges"] == ["yes"]
        assert service["ProtectSystem"] == ["strict"]
        assert service["CapabilityBoundingSet"] == [""]
        assert re.fullmatch("ecpmon", service["User"][0])
