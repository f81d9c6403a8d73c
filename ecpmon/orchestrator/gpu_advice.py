"""How many GPUs a tenant's load needs, from what its GPUs were measured to do. Pure.

- What counts is how much of a GPU works: the 95th percentile of the busier of cores (SM) and memory (DRAM), since
  decoding is bound by memory while few cores work. Both at once, or neither.
- Without them, the share of time in which anything ran is an upper bound of both: one thread makes it 100. It is used,
  and said.
- What the driver samples (`utilization.gpu`, DCGM_FI_DEV_GPU_UTIL) describes about half of the time, and may be in step
  with the load. Nothing is concluded from it, nor from a `gpu_usage` of which nobody knows how it was measured.

It is told, and no part of the update: how many GPUs services get follows from their replicas and `gpu_share`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecpmon.model.usage import Distribution, GpuUsage

MEMORY_MARGIN: Final = 1.15
_ENGINE: Final = (
    "only the share of time in which anything ran is known (DCGM_FI_PROF_GR_ENGINE_ACTIVE): one thread makes it 100 %,"
    " so fewer GPUs may do; have the exporter send DCGM_FI_PROF_SM_ACTIVE and DCGM_FI_PROF_DRAM_ACTIVE"
)
_SAMPLED: Final = (
    "only a utilisation is known (DCGM_FI_DEV_GPU_UTIL, or gpu_usage as it was sent), which may be a sample of half of"
    " the time, and 100 % for one thread: nothing follows from it; have the exporter send DCGM_FI_PROF_SM_ACTIVE and"
    " DCGM_FI_PROF_DRAM_ACTIVE, and choose the profile's `gpu`"
)
_NO_MEMORY: Final = "how much of the GPUs' memory is taken is not known; see that the models fit"


class Evidence(StrEnum):
    """What is concluded from, the best first."""

    PROFILING = "sm_and_dram_active"
    ENGINE = "engine_active"
    SAMPLED = "sampled_utilization"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class GpuAdvice:
    """`current`: GPUs that the plan needs. `recommended` None: nothing follows."""

    current: int
    recommended: int | None
    evidence: Evidence
    usage: GpuUsage | None
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]


def advise_gpus(usage: GpuUsage | None, gpus: int, utilisation: float, min_points: int) -> GpuAdvice | None:
    """None for who has no GPUs. `utilisation`: to which a GPU may be used, as a fraction."""
    if gpus == 0:
        return None
    evidence, busy = _busy(usage, min_points)
    if usage is None or evidence is Evidence.NONE:
        why = f"{best_points(usage)} of {min_points} points"
        return GpuAdvice(gpus, None, Evidence.NONE, usage, (why,), ())
    if evidence is Evidence.SAMPLED:
        return GpuAdvice(gpus, None, evidence, usage, (), (_SAMPLED,))
    caveats = [_ENGINE] if evidence is Evidence.ENGINE else []
    named = ", ".join(f"{what} {d.p95:.0f} %" for what, d in busy.items())
    wanted = max(d.p95 for d in busy.values()) / 100 * gpus / utilisation
    reasons = [f"p95 of {gpus} GPUs: {named}; a GPU may be used to {100 * utilisation:.0f} %"]
    if usage.memory and usage.memory.points >= min_points:
        wanted = max(wanted, usage.memory.high / 100 * gpus * MEMORY_MARGIN)
        reasons.append(f"memory: at most {usage.memory.high:.0f} %, + 15 %")
    else:
        caveats.append(_NO_MEMORY)
    # What is a millionth over a whole number is rounding.
    recommended = max(1, math.ceil(wanted - 1e-6))
    return GpuAdvice(gpus, recommended, evidence, usage, tuple(reasons), tuple(caveats))


def _busy(usage: GpuUsage | None, least: int) -> tuple[Evidence, dict[str, Distribution]]:
    """The best there is, with enough points."""
    if usage is None:
        return Evidence.NONE, {}
    if usage.sm and usage.dram and min(usage.sm.points, usage.dram.points) >= least:
        return Evidence.PROFILING, {"SM active": usage.sm, "DRAM active": usage.dram}
    if usage.engine and usage.engine.points >= least:
        return Evidence.ENGINE, {"engine active": usage.engine}
    for sampled in (usage.sampled, usage.other):
        if sampled and sampled.points >= least:
            return Evidence.SAMPLED, {"sampled": sampled}
    return Evidence.NONE, {}


def best_points(usage: GpuUsage | None) -> int:
    """How many points there are of the best evidence that there is any of."""
    if usage is None:
        return 0
    if usage.sm and usage.dram:
        return min(usage.sm.points, usage.dram.points)
    return next((d.points for d in (usage.engine, usage.sampled, usage.other) if d), 0)
