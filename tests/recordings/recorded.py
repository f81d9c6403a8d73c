"""Recordings of real servers: what their metrics said before and after requests whose ends a client had counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

RECORDINGS: Final = Path(__file__).parents[1] / "corpus" / "recordings"
# Profiles whose servers were not run here, and why.
NOT_RUN: Final = {
    "gpu": "the DCGM exporter needs a GPU",
    "triton": "its server is in no package; what it counts was measured elsewhere (2.51)",
    "ingress-nginx": "the controller is in no package, and needs a cluster",
    "vllm": "its wheel for CPUs needs a build of torch that is in no registry; measured elsewhere (0.32)",
    "scrape": "any target",
}
BEFORE: Final = "# --- before"
AFTER: Final = "# --- after"


@dataclass(frozen=True, slots=True)
class Recorded:
    """`client`: requests by what became of them, as the client counted. `left_out`: what is in none of our counters.

    `truth`: by what growth our counters have to tell of it. `levels`: gauges `before` and `after`.
    """

    name: str
    server: str
    profile: str
    parameters: Mapping[str, str]
    threshold: float | None
    client: Mapping[str, int]
    sums: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, str]
    levels: Mapping[str, Mapping[str, float]]
    before: str
    after: str

    @property
    def truth(self) -> dict[str, float]:
        return {ours: float(sum(self.client[name] for name in names)) for ours, names in self.sums.items()}


def read(path: Path) -> Recorded:
    head, before, after = re.split(rf"^(?:{BEFORE}|{AFTER})$", path.read_text(), flags=re.MULTILINE)
    told: dict[str, Any] = yaml.safe_load(re.sub(r"^# ?", "", head, flags=re.MULTILINE))
    return Recorded(
        path.stem, told["server"], told["profile"], told.get("parameters", {}), told.get("threshold"),
        told["client"], {ours: tuple(str(s).split(" + ")) if s else () for ours, s in told["truth"].items()},
        told.get("left_out", {}), told.get("levels", {}), before, after,
    )  # fmt: skip


def recordings() -> list[Recorded]:
    return [read(path) for path in sorted(RECORDINGS.glob("*.prom"))]
