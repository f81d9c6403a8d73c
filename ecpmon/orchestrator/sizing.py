"""Sizing: what a tenant's sessions and SLA target need, which preset holds it, what it costs. Pure.

Decisions:
- The sum of the pods' limits is compared with the preset, since that is what its ResourceQuota counts.
- A preset that was asked for and is too small is refused, with the smallest that fits and, if there is one,
  the weaker SLA target under which the asked one would be granted. A larger one than needed is granted.
- Beyond the largest preset: InsufficientResources with what is missing, never fewer replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any, Final

from ecpmon.errors import InsufficientResources, InvalidPreset, ValidationFailed
from ecpmon.model.tenants import SlaTarget, parse_milliseconds
from ecpmon.orchestrator.alternatives import Case, alternative, other_presets
from ecpmon.orchestrator.catalogue import Catalogue, default_catalogue
from ecpmon.orchestrator.costs import cost_text, monthly_cost
from ecpmon.orchestrator.plans import Needs, ServicePlan, TenantPlan
from ecpmon.orchestrator.replicas import Promise, capacity, demand, fastest, size_services, total
