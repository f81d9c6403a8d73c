"""The minor versions of Kubernetes whose rules are known."""

from __future__ import annotations

from typing import Final

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(28, 38))
DEFAULT_VERSION: Final = VERSIONS[-1]
