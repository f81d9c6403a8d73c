"""Frozen values that sizing returns. CPU in millicores, memory in MiB, storage in GB, money per month."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from ecpmon.model.tenants import Resources, SlaTarget
from ecpmon.orchestrator.catalogue import PresetSpec, ServiceSpec, memory_text, storage_text


class _Value(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Needs(_Value):
    """What a plan's pods may use at most: the sum of their limits, and whole GPUs."""

    cpu_millicores: int
    memory_mib: int
    gpus: int
    storage_gb: int

    @property
    def resources(self) -> Resources:
        """The same in the public API's quantities."""
        return Resources(
            cpu=f"{self.cpu_millicores}m",
            memory=memory_text(self.memory_mib),
            gpu=self.gpus,
            storage=storage_text(self.storage_gb),
        )

    def beyond(self, preset: PresetSpec) -> dict[str, str | int]:
        """What `preset` lacks, by resource, as quantities; empty when it fits."""
        lacking: dict[str, tuple[int, str | int]] = {
            "cpu": (self.cpu_millicores - preset.cpu, f"{self.cpu_millicores - preset.cpu}m"),
            "memory": (self.memory_mib - preset.memory, memory_text(self.memory_mib - preset.memory)),
            "gpu": (self.gpus - preset.gpu, self.gpus - preset.gpu),
            "storage": (self.storage_gb - preset.storage, storage_text(self.storage_gb - preset.storage)),
        }
        return {name: shown for name, (amount, shown) in lacking.items() if amount > 0}


class ServicePlan(_Value):
    """One service of a tenant. Quantities are per replica; `memory_request` is always in Mi.

    `gpu` is the `nvidia.com/gpu` count of a container: a `gpu_share` below 1 asks for one shared device.
    `spread` and `disruption_budget` are False for a single replica: a budget there would block every drain.
    `max_replicas` is how far its autoscaler may go: all services at theirs fit the quota together. `surge`: a rollout
    may start one pod beside those, which the quota admits too; else a pod ends before its successor begins.
    `spec` carries what sizing does not change (ports, probes, data_path).
    """

    service_name: str
    service_type: str
    replicas: int
    max_replicas: int
    surge: bool
    sessions: int
    image: str
    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str
    gpu: int
    gpu_share: Decimal
    storage_gb: int
    spread: bool
    disruption_budget: bool
    needs: Needs
    why: tuple[str, ...]
    spec: ServiceSpec


class CostLine(_Value):
    """`amount = quantity * unit_price`, per month."""

    item: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal


class Alternative(_Value):
    """Another preset for the same sessions. Asking for it with `sla_target` is granted."""

    preset: str
    resources: Resources
    cost: str
    monthly_cost: Decimal
    performance_impact: str
    sla_target: SlaTarget


class TenantPlan(_Value):
    """What a tenant gets and why.

    `resources` is what `preset` grants, `needs` what its pods add up to; `recommended_preset` is the
    smallest that holds them. `estimated_cost` is `monthly_cost` in whole units: `$350/month`.
    """

    preset: str
    recommended_preset: str
    resources: Resources
    needs: Needs
    gpu_type: str
    estimated_cost: str
    monthly_cost: Decimal
    cost_breakdown: tuple[CostLine, ...]
    deployment_time: str
    services: tuple[ServicePlan, ...]
    alternatives: tuple[Alternative, ...]
    reasons: tuple[str, ...]
