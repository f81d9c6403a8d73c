from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ecpmon.errors import LocalStackError
from ecpmon.local.ports import PortPlan, check_ports, listening_inodes, plan_ports, port_holder


def test_the_documented_ports() -> None:
    assert plan_ports() == PortPlan(
        api=8001,
        simulator=6360,
        postgres=5433,
        demo=5434,
        prometheus=9090,
        alertmanager=9093,
        mail=8025,
        smtp=1025,
    )


def test_the_offset_moves_all_but_what_is_given() -> None:
    plan = plan_ports(100, api=9999, simulator=None)
    assert plan.roles() == {
        "api": 9999,
        "simulator": 6460,
        "postgres": 5533,
        "demo": 5534,
        "prometheus": 9190,
        "alertmanager": 9193,
        "mail": 8125,
        "smtp": 1125,
    }


def test_two_roles_cannot_share_a_port() -> None:
    with pytest.raises(LocalStackError, match="api and alertmanager both want port 9093"):
        plan_ports(api=9093)


@pytest.mark.parametrize("offset", [60_000, -9000])
def test_a_port_outside_the_range_is_refused(offset: int) -> None:
    with pytest.raises(LocalStackError, match="is not a port"):
        plan_ports(offset)


def test_an_unknown_role_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        plan_ports(grafana=3000)


def test_a_taken_port_names_the_role_and_the_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(
            LocalStackError, match=rf"port {port} \(prometheus\) is taken by .+ {os.getpid()}\)"
        ) as e:
            check_ports(plan_ports(prometheus=port), ["prometheus"])
    assert "--port-offset 100" in e.value.hint
    assert e.value.details["role"] == "prometheus"


def test_a_listener_on_all_addresses_takes_the_port_too(free_port: Callable[[], int]) -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        with pytest.raises(LocalStackError):
            check_ports(plan_ports(api=listener.getsockname()[1]), ["api"])


def test_only_the_asked_roles_are_checked(free_port: Callable[[], int]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        plan = plan_ports(postgres=listener.getsockname()[1], api=free_port())
        check_ports(plan, ["api"])


TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1
   1: 0100007F:1F41 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 222 1
   2: 0100007F:1F42 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1
"""


def test_only_listeners_on_the_port_count() -> None:
    assert listening_inodes(TCP, 8001) == {"111"}
    assert listening_inodes(TCP, 54321) == set()


def test_the_holder_is_unknown_when_no_process_shows_it(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TCP)
    (tmp_path / "42/fd").mkdir(parents=True)
    assert port_holder(8001, tmp_path) is None
    (tmp_path / "42/fd/3").symlink_to("socket:[111]")
    (tmp_path / "42/comm").write_text("python3\n")
    assert port_holder(8001, tmp_path) == "python3 (process 42)"
