"""What validation returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`document` counts from 0, None for the whole stream; `object` is `kind/name`; `path` is dotted."""

    severity: Severity
    code: str
    message: str
    document: int | None = None
    object: str = ""
    path: str = ""

    def shown(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "document": self.document,
            "object": self.object,
            "path": self.path,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`resource_summary` as in api.md §6; cost and time None when the manifest fits no preset."""

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    simulator_compatible: bool
    resource_summary: dict[str, Any]
    estimated_cost: str | None
    deployment_time: str | None

    @property
    def valid(self) -> bool:
        return not self.errors

    def shown(self) -> dict[str, Any]:
        """The body of the public API."""
        return {
            "valid": self.valid,
            "warnings": [w.shown() for w in self.warnings],
            "errors": [e.shown() for e in self.errors],
            "simulator_compatible": self.simulator_compatible,
            "resource_summary": self.resource_summary,
            "estimated_cost": self.estimated_cost,
            "deployment_time": self.deployment_time,
        }
