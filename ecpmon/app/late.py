"""What a front leaves out of its start, and has before anybody has to wait for it.

An import takes milliseconds to tenths of a second. Whoever asks first would pay for it, and all who are on the same
event loop with him. So it is done in a thread, which gives way after SWITCH_SECONDS, once the start is over; until then
the first call imports what it needs.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Final

# Many a process does not live so long.
REST_SECONDS: Final = 12.0
# All that handlers import where they need it, but for what runs in processes that compute (`COMPUTED`).
FRONTS: Final = (
    "ecpmon.agents.evidence",
    "ecpmon.api.openapi.document",
    "ecpmon.collectors.profiles",
    "ecpmon.orchestrator.catalogue",
    "ecpmon.orchestrator.changes",
    "ecpmon.orchestrator.gpu_advice",
    "ecpmon.orchestrator.manifests",
    "ecpmon.orchestrator.rightsizing",
    "ecpmon.orchestrator.sizing",
    "ecpmon.orchestrator.tuning",
    "ecpmon.pages",
    "ecpmon.sla.matching",
    "ecpmon.sla.openslo",
    "ecpmon.sla.openslo_reader",
    "ecpmon.sla.ratios",
    "ecpmon.sla.yamlstream",
    "ecpmon.statuspages.badge",
    "ecpmon.statuspages.links",
    "ecpmon.statuspages.page",
    "ecpmon.statuspages.reading",
    "ecpmon.statuspages.words",
)
COMPUTED: Final = (
    "ecpmon.api.backtesting",
    "ecpmon.api.backtesting_objectives",
    "ecpmon.orchestrator.manifests",
    "ecpmon.orchestrator.tuning",
    "ecpmon.orchestrator.validation",
    "ecpmon.sla.openslo_reader",
    "ecpmon.sla.ratios",
    "ecpmon.statements.pages",
    "ecpmon.statuspages.reading",
)


async def load_late(rest: float = REST_SECONDS) -> None:
    """After `rest` seconds, one module after the other."""
    await asyncio.sleep(rest)
    for module in FRONTS:
        await asyncio.to_thread(import_module, module)
    catalogue = import_module("ecpmon.orchestrator.catalogue")
    await asyncio.to_thread(catalogue.default_catalogue)
