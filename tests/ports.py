"""Ports for the servers that tests start."""

from __future__ import annotations

import random
import socket

# Below the ports that the kernel gives to outgoing connections, so that none of ours takes one in between.
_PORTS = range(15_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on; another one each time."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as listener:
            # As servers do it: connections that have only just ended do not keep a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
