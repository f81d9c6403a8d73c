"""What a change of a tenant means for its deployment: the difference of two plans. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ecpmon.orchestrator.plans import ServicePlan, TenantPlan


class Effect(StrEnum):
    CREATE = "create"
    REMOVE = "remove"
    SCALE = "scale"  # pods come or go; those that stay are not touched
    ROLLOUT = "rollout"  # every pod of the service is replaced


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one service. A service that comes or goes is a change of its replicas from or to 0."""

    service: str
    field: str
    before: Any
    after: Any
    effect: Effect


_FIELDS: Final = {
    "replicas": Effect.SCALE,
    "image": Effect.ROLLOUT,
    "cpu_request": Effect.ROLLOUT,
    "cpu_limit": Effect.ROLLOUT,
    "memory_request": Effect.ROLLOUT,
    "memory_limit": Effect.ROLLOUT,
    "gpu": Effect.ROLLOUT,
    "storage_gb": Effect.ROLLOUT,
    "spread": Effect.ROLLOUT,
    "disruption_budget": Effect.SCALE,
}


def deployment_changes(before: TenantPlan | None, after: TenantPlan) -> tuple[Change, ...]:
    """From `before` (None: nothing that could be planned) to `after`, by service in the plans' order."""
    old = {s.service_name: s for s in before.services} if before else {}
    new = {s.service_name: s for s in after.services}
    return tuple(c for name in {**old, **new} for c in _of_service(name, old.get(name), new.get(name)))


def _of_service(name: str, old: ServicePlan | None, new: ServicePlan | None) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change(name, "replicas", 0, new.replicas, Effect.CREATE)
    elif new is None and old is not None:
        yield Change(name, "replicas", old.replicas, 0, Effect.REMOVE)
    else:
        for field, effect in _FIELDS.items():
            was, is_now = getattr(old, field), getattr(new, field)
            if was != is_now:
                yield Change(name, field, was, is_now, effect)
