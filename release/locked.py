"""`requirements.lock`: what the service runs with, by version and hash. Made by `make lock`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"


@dataclass(frozen=True)
class Pin:
    """One distribution; `marker` says on which Python or system it is needed (None: on all)."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: Marker | None


def pins(text: str) -> list[Pin]:
    """The pins of a lock, by name. Raises ValueError for a line that pins no version or has no SHA-256."""
    lines = text.replace("\\\n", " ").splitlines()
    kept = (line.partition(" #")[0] for line in lines if line.strip() and not line.lstrip().startswith("#"))
    return sorted((_pin(line) for line in kept), key=lambda pin: pin.name)


def _pin(line: str) -> Pin:
    wanted, *hashes = line.split("--hash=")
    requirement = Requirement(wanted.strip())
    one = list(requirement.specifier)
    if len(one) != 1 or one[0].operator != "==" or requirement.url:
        raise ValueError(f"{wanted.strip()} is no pin of a version")
    if not hashes or not all(each.startswith("sha256:") for each in hashes):
        raise ValueError(f"{requirement.name} has no SHA-256")
    hexes = tuple(each.strip().removeprefix("sha256:") for each in hashes)
    return Pin(canonicalize_name(requirement.name), one[0].version, hexes, requirement.marker)
