"""Full garbage collections hold the event loop: of a running service they look at what came after its start only."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
from ecpmon.app.process import settle
before = len(gc.get_objects())
settle()
print(before, len(gc.get_objects()), gc.get_freeze_count())
"""


def test_what_was_made_before_the_start_is_not_looked_at_again() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after, frozen = map(int, done.stdout.split())
    assert before > 20_000
    assert after < before / 100
    assert frozen > before / 2
