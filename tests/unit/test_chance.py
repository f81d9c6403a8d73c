"""Two processes that were forked from one do not go through the same numbers."""

from __future__ import annotations

import os

from ecpmon.chance import CHANCE


def test_a_forked_process_has_numbers_of_its_own() -> None:
    state = CHANCE.getstate()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, b"%x" % CHANCE.getrandbits(256))
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        others = int(told.read(), 16)
    os.waitpid(pid, 0)
    CHANCE.setstate(state)
    assert CHANCE.getrandbits(256) != others
