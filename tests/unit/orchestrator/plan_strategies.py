"""Hypothesis strategies and shorthands for sizing tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.catalogue import default_catalogue
from ecpmon.orchestrator.plans import Needs

SERVICES = list(default_catalogue().services)
PRESETS = list(default_catalogue().presets)

requirements = st.dictionaries(st.sampled_from(SERVICES), st.integers(1, 3000), min_size=1)
# Small enough that most of them fit a preset.
modest = st.dictionaries(st.sampled_from(SERVICES[:6]), st.integers(1, 120), min_size=1, max_size=4)
percents = st.decimals("50", "99.999", places=3).map(lambda value: f"{value}%")
# 65 ms: reachable by every service of the shipped catalogue.
responses = st.none() | st.integers(65, 400).map(lambda ms: f"{ms}ms")
targets = st.builds(
    SlaTarget,
    availability=percents,
    response_time=responses,
    concurrent_users=st.none() | st.integers(1, 5000),
)


def sla(availability: str = "99.5%", response_time: str | None = None, **more: Any) -> SlaTarget:
    return SlaTarget(availability=availability, response_time=response_time, **more)


def amounts(needs: Needs) -> tuple[int, int, int, int]:
    return needs.cpu_millicores, needs.memory_mib, needs.gpus, needs.storage_gb
