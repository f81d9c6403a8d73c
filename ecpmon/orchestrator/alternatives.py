"""The other presets for the same sessions: what they cost and what they take away. Pure.

A preset that does not hold the target's plan is still offered when a weaker promise makes it fit: a longer
response time (up to the design load's), no spare replica, or both. Sessions are never turned away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from ecpmon.model.tenants import SlaTarget
from ecpmon.orchestrator.catalogue import Catalogue, PresetSpec
from ecpmon.orchestrator.costs import cost_breakdown, cost_text, monthly_cost
from ecpmon.orchestrator.plans import Alternative, Needs
from ecpmon.orchestrator.replicas import Promise, demand, size_services, total


@dataclass(frozen=True, slots=True)
class Case:
    """One question put to sizing. `promise` is `target` in numbers."""

    requirements: Mapping[str, int]
    target: SlaTarget
    promise: Promise
    catalogue: Catalogue

    def sessions(self) -> dict[str, int]:
        return demand(self.requirements, self.promise, self.catalogue)

    def needs(self, promise: Promise) -> Needs:
        """What the same sessions need under another promise."""
        return total(size_services(self.sessions(), promise, self.catalogue))

    def fits(self, promise: Promise, preset: PresetSpec) -> bool:
        return not self.needs(promise).beyond(preset)


def other_presets(case: Case, chosen: str) -> tuple[Alternative, ...]:
    """Every preset but `chosen` that can carry the sessions, smallest first."""
    offers = (alternative(case, name) for name in case.catalogue.presets if name != chosen)
    return tuple(offer for offer in offers if offer is not None)


def alternative(case: Case, name: str) -> Alternative | None:
    """Preset `name` with the strongest promise found for it; None when it cannot carry the sessions."""
    preset = case.catalogue.presets[name]
    promise = next(_promises(case, preset), None)
    if promise is None:
        return None
    cost = monthly_cost(cost_breakdown(preset, case.catalogue.prices))
    return Alternative(
        preset=name,
        resources=preset.resources,
        cost=cost_text(cost, case.catalogue.prices),
        monthly_cost=cost,
        performance_impact=_impact(case, promise, preset),
        sla_target=_target(case, promise),
    )


def _promises(case: Case, preset: PresetSpec) -> Iterator[Promise]:
    """Promises under which `preset` fits, in the order of what a contract gives up least willingly."""
    asked = case.promise
    bare = replace(asked, percent=case.catalogue.sla.without_spare)
    spare = asked.wants_spare(case.catalogue.sla)
    if case.fits(asked, preset):
        yield asked
    slower = _slower(case, asked, preset)
    if slower is not None:
        yield slower
    if spare and case.fits(bare, preset):
        yield bare
    slower = _slower(case, bare, preset) if spare else None
    if slower is not None:
        yield slower


def _slower(case: Case, promise: Promise, preset: PresetSpec) -> Promise | None:
    """The shortest response time, in whole ms, with which `preset` fits; None when none helps."""
    slowest = max(case.catalogue.services[name].response_time_ms for name in case.sessions())
    if promise.response_ms is None or promise.response_ms >= slowest:
        return None
    low, high = math.ceil(promise.response_ms), slowest
    if not case.fits(replace(promise, response_ms=Fraction(high)), preset):
        return None
    while low < high:  # needs only fall as the response time grows
        middle = (low + high) // 2
        if case.fits(replace(promise, response_ms=Fraction(middle)), preset):
            high = middle
        else:
            low = middle + 1
    return replace(promise, response_ms=Fraction(high))


def _target(case: Case, promise: Promise) -> SlaTarget:
    changes: dict[str, str] = {}
    if promise.percent != case.promise.percent:
        changes["availability"] = f"{promise.percent}%"
    if promise.response_ms is not None and promise.response_ms != case.promise.response_ms:
        changes["response_time"] = f"{promise.response_ms}ms"
    return case.target.model_copy(update=changes)


def _impact(case: Case, promise: Promise, preset: PresetSpec) -> str:
    asked, impacts = case.promise, []
    slower, before = promise.response_ms, asked.response_ms
    if slower is not None and before is not None and slower > before:
        growth = round((slower / before - 1) * 100)
        impacts.append(
            f"response time about {growth} % longer ({slower} ms rather than {float(before):g} ms)"
        )
    if promise.percent < asked.percent:
        impacts.append(
            "no spare replica: while a pod is down its share of the sessions suffers, "
            f"so {promise.percent} % can be promised rather than {asked.percent} %"
        )
    return "; ".join(impacts) or f"the target holds; {_tightest(case.needs(promise), preset)}"


def _tightest(needs: Needs, preset: PresetSpec) -> str:
    granted = {
        "CPU": (needs.cpu_millicores, preset.cpu),
        "memory": (needs.memory_mib, preset.memory),
        "GPU": (needs.gpus, preset.gpu),
        "storage": (needs.storage_gb, preset.storage),
    }
    shares = {name: Fraction(used, grant) for name, (used, grant) in granted.items() if grant}
    name = max(shares, key=lambda key: shares[key])
    return f"the tightest resource, {name}, is taken to {round(shares[name] * 100)} %"
