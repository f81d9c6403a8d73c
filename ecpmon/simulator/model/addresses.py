"""Addresses: every pod its own, which nobody can reach; every node a loopback one, where its kubelet answers."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_HOSTS = 254
# Where kube-state-metrics answers, and what every address of an exporter begins with.
STATE_METRICS: Final = "127.2.0.1"
EXPORTERS: Final = ("127.1.", "127.2.")


def pod_address(number: int) -> str:
    """The address of the `number`-th pod that was bound, from 10.128.0.1 on."""
    block, host = divmod(number - 1, _HOSTS)
    return f"10.{128 + block // 256 % 64}.{block % 256}.{host + 1}"


def node_address(name: str) -> str:
    """A node's address: `node-12` has 127.1.0.12, another name one that follows from the name."""
    tail = name.rpartition("-")[2]
    if tail.isdigit() and 0 < int(tail) < 65_000:
        number = int(tail)
        return f"127.1.{number // _HOSTS}.{number % _HOSTS or _HOSTS}"
    first, second = blake2b(name.encode(), digest_size=2).digest()
    return f"172.16.{first}.{1 + second % _HOSTS}"
