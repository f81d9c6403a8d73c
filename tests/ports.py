"""Ports for the servers that tests start: no two test processes of this machine are given the same one."""

from __future__ import annotations

import atexit
import random
import socket
from collections.abc import Iterator

# Below the ports that the kernel gives to outgoing connections, so that none of ours takes one in between.
_PORTS = range(15_000, 32_000)
_BLOCK = 100
_claims: list[socket.socket] = []


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on; another one each time."""
    return next(_ours)


def _endless() -> Iterator[int]:
    while True:
        block = _claim()
        yield from (port for port in block if _is_free(port))


def _claim() -> range:
    """A block of ports that is ours for as long as this process lives: it listens on the first of them.

    Whoever else runs tests here (another worker, another checkout) finds it taken, and goes on to another block.
    """
    blocks = list(_PORTS[::_BLOCK])
    random.SystemRandom().shuffle(blocks)
    for first in blocks:
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", first))
            claim.listen(1)
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return range(first + 1, first + _BLOCK)
    raise RuntimeError(f"no block of {_BLOCK} free ports is left in {_PORTS}")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        # As servers do it: connections that have only just ended do not keep a port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@atexit.register
def _let_go() -> None:
    for claim in _claims:
        claim.close()


_ours = _endless()
