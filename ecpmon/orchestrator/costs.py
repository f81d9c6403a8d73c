"""What a preset costs per month, as a sum that can be shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from ecpmon.orchestrator.catalogue import PresetSpec, PriceTable
from ecpmon.orchestrator.plans import CostLine


def cost_breakdown(preset: PresetSpec, prices: PriceTable) -> tuple[CostLine, ...]:
    """One line per priced resource; their amounts add up to the monthly cost."""
    bought = (
        ("platform fee", Decimal(1), prices.platform_fee),
        ("CPU (cores)", Decimal(preset.cpu) / 1000, prices.per_cpu_core),
        ("memory (GiB)", Decimal(preset.memory) / 1024, prices.per_memory_gib),
        ("GPU", Decimal(preset.gpu), prices.per_gpu),
        ("storage (TB)", Decimal(preset.storage) / 1000, prices.per_storage_tb),
    )
    return tuple(
        CostLine(item=item, quantity=quantity, unit_price=price, amount=quantity * price)
        for item, quantity, price in bought
    )


def monthly_cost(lines: Iterable[CostLine]) -> Decimal:
    """The sum, to the cent."""
    return sum((line.amount for line in lines), Decimal(0)).quantize(Decimal("0.01"), ROUND_HALF_UP)


def cost_text(cost: Decimal, prices: PriceTable) -> str:
    """`$350/month`, in whole units."""
    return f"{prices.symbol}{cost.quantize(Decimal(1), ROUND_HALF_UP)}/month"
