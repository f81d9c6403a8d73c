"""What validation returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ecpmon.orchestrator.validation.korean import in_korean
from ecpmon.orchestrator.validation.places import Lines
from ecpmon.orchestrator.validation.sentences import SENTENCES


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """`document` counts from 0, None for the whole stream; `object` is `kind/name`; `path` is dotted.

    `values` fill the sentence of the code, see `sentences`.
    """

    severity: Severity
    code: str
    document: int | None = None
    object: str = ""
    path: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def category(self) -> str:
        """`syntax`, `api`, `relation`, `capacity`, `advice`, or `policy`: that is ours, no API server's."""
        return SENTENCES[self.code].category

    @property
    def message(self) -> str:
        return self.said()

    def said(self, *, korean: bool = False) -> str:
        """Why, in a sentence."""
        sentence = SENTENCES[self.code]
        if not korean:
            return sentence.en.format_map(self.values)
        detail = {"detail": in_korean(str(self.values["detail"]))} if "detail" in self.values else {}
        return sentence.ko.format_map({**self.values, **detail}).removesuffix(": ")

    def line(self, *, korean: bool = False) -> str:
        """The same with its place, as the source documents have it: one text."""
        document = "" if self.document is None else f"{'문서' if korean else 'document'} {self.document}"
        place = ", ".join(part for part in (self.object, self.path, document) if part)
        said = self.said(korean=korean)
        return f"{said} ({place})" if place else said

    def shown(self, *, korean: bool = False) -> dict[str, Any]:
        return {
            "severity": self.severity.value,
            "category": self.category,
            "code": self.code,
            "document": self.document,
            "object": self.object,
            "path": self.path,
            "message": self.said(korean=korean),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`resource_summary` as in api.md §6, `pod_security` the strictest Pod Security Standard that all pods meet.

    Cost and time are None where there is no object. `lines` knows where in the text that was judged a finding stands.
    """

    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    simulator_compatible: bool
    pod_security: str
    resource_summary: dict[str, Any]
    estimated_cost: str | None
    deployment_time: str | None
    lines: Lines = field(repr=False, compare=False)

    @property
    def valid(self) -> bool:
        return not self.errors

    def shown(self, *, korean: bool = False) -> dict[str, Any]:
        """The body of the public API."""
        return {
            "valid": self.valid,
            "warnings": [w.line(korean=korean) for w in self.warnings],
            "errors": [e.line(korean=korean) for e in self.errors],
            "findings": [self._placed(f, korean) for f in (*self.errors, *self.warnings)],
            "simulator_compatible": self.simulator_compatible,
            "pod_security": self.pod_security,
            "resource_summary": self.resource_summary,
            "estimated_cost": self.estimated_cost,
            "deployment_time": self.deployment_time,
        }

    def _placed(self, finding: Finding, korean: bool) -> dict[str, Any]:
        number = finding.document
        line = None if number is None else self.lines.of(number, finding.path)
        return {**finding.shown(korean=korean), "line": line}
