"""What a manifest costs per month: tenants buy presets, so it is the smallest that holds what the objects ask for.

A manifest that says which preset it was rendered for costs that one, as long as its objects fit. Beyond the largest
preset the same prices are added up. Without a pod, a claim or a request
nothing is to be paid; a pod that states nothing still runs somewhere, and costs the smallest preset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ecpmon.kube.amounts import amount
from ecpmon.kube.shapes import mapping
from ecpmon.orchestrator.catalogue import Catalogue, PresetSpec
from ecpmon.orchestrator.costs import cost_breakdown, cost_text, monthly_cost
from ecpmon.orchestrator.validation.surroundings import Surroundings
from ecpmon.orchestrator.validation.totals import GPU, Totals

_PRESET: Final = "ecp.ai/preset"


@dataclass(frozen=True, slots=True)
class Priced:
    """`$350/month`; `15-20 minutes`."""

    cost: str
    time: str


def price(around: Surroundings, sums: Totals, catalogue: Catalogue) -> Priced:
    """Of all objects together."""
    presets = list(catalogue.presets.values())
    chosen = _named(around, sums, catalogue) or next((p for p in presets if _holds(p, sums)), None)
    cost = Decimal(0)
    if sums.pods or sums.storage or sums.cpu or sums.memory:
        asked = [chosen] if chosen else [presets[-1], _beyond(sums, presets[-1])]
        cost = max(monthly_cost(cost_breakdown(p, catalogue.prices)) for p in asked)
    low, high = (chosen or presets[-1]).deployment_minutes
    return Priced(cost_text(cost, catalogue.prices), f"{low}-{high} minutes")


def _named(around: Surroundings, sums: Totals, catalogue: Catalogue) -> PresetSpec | None:
    """The preset that the objects say they were made for; None when they disagree or do not fit."""
    said = {mapping(d.metadata.get("labels")).get(_PRESET) for d in around.documents} - {None}
    name = next(iter(said), None) if len(said) == 1 else None
    preset = catalogue.presets.get(name) if isinstance(name, str) else None
    if preset is None:
        return None
    # Services that share a GPU ask for a whole one each: the quota says how many may.
    shared = max([preset.gpu, *_granted_gpus(around)])
    return preset if _holds(preset, sums, shared) else None


def _granted_gpus(around: Surroundings) -> Iterator[int]:
    for quotas in around.quotas.values():
        for quota in quotas:
            yield int(min(amount(mapping(quota.spec.get("hard")).get(f"requests.{GPU}", 0)), Decimal(10_000)))


def _holds(preset: PresetSpec, sums: Totals, gpus: int | None = None) -> bool:
    gpu = preset.gpu if gpus is None else gpus
    return (
        preset.cpu >= sums.cpu
        and preset.memory >= sums.memory
        and gpu >= sums.gpu
        and preset.storage >= sums.storage
    )


def _beyond(sums: Totals, largest: PresetSpec) -> PresetSpec:
    return PresetSpec.model_construct(
        cpu=sums.cpu, memory=sums.memory, gpu=sums.gpu, storage=sums.storage,
        deployment_minutes=largest.deployment_minutes,
    )  # fmt: skip
