"""The simulator as a process: a manual clock, kill -9, the wall clock, two at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.simulator.sim_process import DEADLINE, SERVICE, Simulator
from tests.ports import free_port
from tests.waiting import wait_until

START = "2026-11-02T08:00:00.000000Z"


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path / "state", "--manual-clock", "--seed", "7").start()
    simulator.ok("POST", "/api/v1/clock/set", {"to": START})
    yield simulator
    simulator.kill()


def test_a_timeline_on_a_manual_clock(manual: Simulator) -> None:
    manual.deploy()
    assert manual.ok("GET", "/api/v1/metrics/acme")["ready"] is None
    manual.advance(60)
    order = {"failure_type": "full_outage", "duration_seconds": 90.000001}
    status, failure = manual.call("POST", "/api/v1/failures/acme", order)
    assert status == 202
    assert failure["start"] == "2026-11-02T08:01:00.000000Z"
    assert failure["end"] == "2026-11-02T08:02:30.000001Z"
    during = manual.ok("GET", "/api/v1/metrics/acme")
    assert during["ready"] is False
    assert during["metrics"]["error_rate"] == 1.0
    assert during["services"] == [
        {
            "service": "callbot", "desired": 3, "ready": 0, "sessions": 0,
            "pod_cpu_millicores": 0.0, "pod_memory_mib": 0.0,
        }
    ]  # fmt: skip
    manual.advance(3600)
    truth = manual.ok("GET", "/api/v1/truth/acme")
    assert truth["down_seconds"] == 90.000001
    assert truth["intervals"] == [
        {"start": "2026-11-02T08:00:08.000000Z", "end": "2026-11-02T08:01:00.000000Z", "state": "up"},
        {"start": "2026-11-02T08:01:00.000000Z", "end": "2026-11-02T08:02:30.000001Z", "state": "down"},
        {"start": "2026-11-02T08:02:30.000001Z", "end": None, "state": "up"},
    ]
    part = manual.ok("GET", "/api/v1/truth/acme?from=2026-11-02T08:02:00Z&to=2026-11-02T08:02:10Z")
    assert part["down_seconds"] == 10
    assert part["intervals"][0]["end"] == "2026-11-02T08:02:10.000000Z"


def test_an_accepted_command_survives_kill_9(manual: Simulator) -> None:
    manual.deploy()
    manual.advance(60)
    manual.ok("POST", "/api/v1/failures/acme", {"failure_type": "full_outage", "duration_seconds": 600})
    external = {"tenant_id": "acme", "source": "probe", "metrics": {"mos": 4.1}}
    manual.ok("POST", "/api/v1/external-metrics", external)
    before = [
        manual.ok("GET", path)
        for path in ("/api/v1/metrics/acme", "/api/v1/truth/acme", "/api/v1/tenants/acme")
    ]
    manual.kill()
    manual.start()
    after = [
        manual.ok("GET", path)
        for path in ("/api/v1/metrics/acme", "/api/v1/truth/acme", "/api/v1/tenants/acme")
    ]
    assert after == before
    assert after[0]["external"]["probe"]["metrics"] == {"mos": 4.1}
    manual.advance(1000)
    assert manual.ok("GET", "/api/v1/truth/acme")["down_seconds"] == 600


def test_failures_expire_while_the_process_is_dead(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "state", "--speed", "200").start()
    simulator.deploy()
    _until(lambda: simulator.ok("GET", "/api/v1/metrics/acme")["ready"])
    failure = simulator.ok(
        "POST", "/api/v1/failures/acme", {"failure_type": "full_outage", "duration_seconds": 100}
    )
    simulator.kill()
    time.sleep(0.6)  # 120 simulated seconds of nobody there
    simulator.start()
    truth = simulator.ok("GET", "/api/v1/truth/acme")
    assert truth["down_seconds"] == 100
    assert [i["start"] for i in truth["intervals"]][1:] == [failure["start"], failure["end"]]
    assert simulator.kill(signal.SIGTERM) == 0


def test_the_wall_clock_is_the_clock(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "state").start()
    try:
        clock = simulator.ok("GET", "/api/v1/clock")
        assert (clock["mode"], clock["speed"]) == ("wall", 1.0)
        assert simulator.call("POST", "/api/v1/clock/advance", {"seconds": 1})[0] == 409
        simulator.deploy("acme", {**SERVICE, "startup_seconds": 0.3})
        _until(lambda: simulator.ok("GET", "/api/v1/metrics/acme")["ready"])
        order = {"failure_type": "network_partition", "duration_seconds": 3600}
        simulator.ok("POST", "/api/v1/failures/acme", order)
        assert simulator.ok("GET", "/api/v1/metrics/acme")["ready"] is False
        simulator.ok("DELETE", "/api/v1/failures/acme")
        _until(lambda: simulator.ok("GET", "/api/v1/metrics/acme")["ready"])
        before = simulator.ok("GET", "/api/v1/truth/acme")["down_seconds"]
        simulator.ok("POST", "/api/v1/failures/acme", {**order, "duration_seconds": 0.4})
        _until(lambda: not simulator.ok("GET", "/api/v1/failures/acme")["failures"])
        _until(lambda: simulator.ok("GET", "/api/v1/metrics/acme")["ready"])
        after = simulator.ok("GET", "/api/v1/truth/acme")["down_seconds"]
        assert after - before == pytest.approx(0.4)
    finally:
        simulator.kill()


def test_what_cannot_start_says_why(manual: Simulator, tmp_path: Path) -> None:
    same = _start(manual.state_dir, free_port())
    assert same.returncode == 1
    assert "another simulator uses" in same.stderr
    taken = _start(tmp_path / "other", manual.port)
    assert taken.returncode == 1
    assert str(manual.port) in taken.stderr
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "simulator.json").write_text("{")
    broken = _start(damaged, free_port())
    assert broken.returncode == 1
    assert "move" in broken.stderr


def test_help_is_complete() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "ecpmon.simulator", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in ("--host", "--port", "--state-dir", "--seed", "--speed", "--manual-clock", "--nodes"):
        assert option in text


def _start(state_dir: Path, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ecpmon.simulator", "--port", str(port), "--state-dir", str(state_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


def _until(condition: Callable[[], bool]) -> None:
    wait_until(condition, "what the test waits for")
