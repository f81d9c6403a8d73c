"""What may be guessed and costs little: numbers of requests, and how long who is in no hurry waits.

Not the library's own generator, whose state others set (property tests, for one); seeded anew in a process that is
forked, or two fronts would go through the same numbers.
"""

from __future__ import annotations

import os
from random import Random
from typing import Final

CHANCE: Final = Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CHANCE.seed)
