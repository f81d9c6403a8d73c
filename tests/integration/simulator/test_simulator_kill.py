"""Kill -9 in the middle of commands: what was acknowledged is there, and nothing that makes no sense."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

import pytest

from tests.integration.simulator.sim_process import DEADLINE, Simulator
from tests.waiting import wait_until

WRITERS = 3


class _Writer(threading.Thread):
    """Applies its own ConfigMap with rising numbers until the simulator is gone; counts what was acknowledged."""

    def __init__(self, port: int, name: str, number: int) -> None:
        super().__init__()
        self.port, self.key, self.acknowledged, self.asked = port, name, number, number

    def run(self) -> None:
        path = f"/api/v1/namespaces/default/configmaps/{self.key}?fieldManager=test&force=true"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        headers = {"Content-Type": "application/apply-patch+yaml"}
        try:
            while True:
                self.asked += 1
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.key}}
                # Long enough for a line that the kernel takes in more than one page.
                body["data"] = {"number": str(self.asked), "padding": "x" * 20_000}
                connection.request("PATCH", path, json.dumps(body), headers)
                response = connection.getresponse()
                response.read()
                assert response.status in (200, 201)
                self.acknowledged = self.asked
        except (OSError, http.client.HTTPException):
            connection.close()  # killed: the answer to the last question is unknown


def test_everything_acknowledged_survives_kill_9_again_and_again(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "state", "--manual-clock", "--seed", "7")
    known = {f"writer-{number}": 0 for number in range(WRITERS)}
    journals = []
    for life in range(4):
        simulator.start()
        writers = [_Writer(simulator.port, name, number) for name, number in known.items()]
        for writer in writers:
            writer.start()
        simulator.deploy(f"tenant-{life}")
        _until_each_is_acknowledged(writers)
        time.sleep(0.013 * life)
        simulator.kill()
        for writer in writers:
            writer.join(DEADLINE)
        journals.append((simulator.state_dir / "simulator.journal").stat().st_size)
        simulator.start()
        for writer in writers:
            path = f"/api/v1/namespaces/default/configmaps/{writer.key}"
            found = int(simulator.ok("GET", path)["data"]["number"])
            assert writer.acknowledged <= found <= writer.asked
            known[writer.key] = found
        listed = simulator.ok("GET", "/api/v1/tenants")["tenants"]
        assert [t["tenant_id"] for t in listed] == [f"tenant-{number}" for number in range(life + 1)]
        simulator.kill()
    assert min(journals) > 20_000, "the commands were not in the journal"


def _until_each_is_acknowledged(writers: list[_Writer], times: int = 5) -> None:
    starts = {writer.key: writer.acknowledged for writer in writers}
    wait_until(
        lambda: all(writer.acknowledged >= starts[writer.key] + times for writer in writers),
        "the writers get on",
    )


def test_a_torn_journal_starts_and_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    simulator = Simulator(tmp_path / "state", "--manual-clock").start()
    for name in ("first", "second", "third"):
        simulator.deploy(name)
    simulator.kill()
    path = simulator.state_dir / "simulator.journal"
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    simulator.start()
    listed = simulator.ok("GET", "/api/v1/tenants")["tenants"]
    assert [t["tenant_id"] for t in listed] == ["first", "second"]
    assert "never acknowledged" in simulator.log.read_text()
    simulator.kill()
    path.write_bytes(whole.replace(b'"second"', b'"sacked"', 1))
    with pytest.raises(AssertionError, match=r"simulator\.journal is damaged; move"):
        simulator.start()
