"""Columns and the texts in their cells, as every kind of `kubectl get` uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ecpmon.simulator.kube.status import Document
from ecpmon.simulator.model.times import SECOND, Micros, to_micros

NONE: Final = "<none>"
UNKNOWN: Final = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400


@dataclass(frozen=True, slots=True)
class Column:
    """`wide` columns are shown by `-o wide` only. `cell` gets the object and simulated now."""

    name: str
    cell: Callable[[Document, Micros], Any]
    kind: str = "string"
    wide: bool = False
    form: str = ""

    def as_document(self) -> Document:
        return {
            "name": self.name,
            "type": self.kind,
            "format": self.form,
            "description": "",
            "priority": 1 if self.wide else 0,
        }


def dig(document: Any, path: str, default: Any = None) -> Any:
    """The value at a dotted path, `default` when anything on the way is absent."""
    for name in path.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return default if document is None else document


def text(path: str, default: Any = NONE) -> Callable[[Document, Micros], Any]:
    return lambda document, _: dig(document, path, default)


def duration(seconds: float) -> str:
    """An age as kubectl shows it: 90s, 5m3s, 3h20m, 2d5h, 3y20d."""
    s = max(0, int(seconds))
    if s < 2 * _MINUTE:
        return f"{s}s"
    if s < 10 * _MINUTE:
        return _two(s, _MINUTE, "m", 1, "s")
    if s < 3 * _HOUR:
        return f"{s // _MINUTE}m"
    if s < 8 * _HOUR:
        return _two(s, _HOUR, "h", _MINUTE, "m")
    if s < 2 * _DAY:
        return f"{s // _HOUR}h"
    if s < 8 * _DAY:
        return _two(s, _DAY, "d", _HOUR, "h")
    if s < 2 * _YEAR:
        return f"{s // _DAY}d"
    return _two(s, _YEAR, "y", _DAY, "d") if s < 8 * _YEAR else f"{s // _YEAR}y"


def _two(seconds: int, big: int, big_name: str, small: int, small_name: str) -> str:
    rest = seconds % big // small
    return f"{seconds // big}{big_name}" + (f"{rest}{small_name}" if rest else "")


def moment(text: str) -> Micros:
    """When an RFC 3339 text says."""
    return to_micros(datetime.fromisoformat(text))


def since(begun: Any, now: Micros) -> str:
    """The age of an RFC 3339 text."""
    try:
        return duration((now - moment(begun)) / SECOND)
    except (TypeError, ValueError):
        return UNKNOWN


def _age(document: Document, now: Micros) -> str:
    return since(document["metadata"].get("creationTimestamp"), now)


def pairs(labels: Mapping[str, Any] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as one text."""
    if not selector:
        return NONE
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or ():
        values = ",".join(item.get("values") or ())
        spelled = {"In": f" in ({values})", "NotIn": f" notin ({values})", "Exists": ""}
        operator = item["operator"]
        parts.append(
            f"!{item['key']}" if operator == "DoesNotExist" else item["key"] + spelled.get(operator, "")
        )
    return ",".join(parts) or NONE


def containers(what: str, path: str) -> Callable[[Document, Micros], str]:
    def cell(document: Document, _: Micros) -> str:
        return ",".join(str(c.get(what, "")) for c in dig(document, path, [])) or NONE

    return cell


NAME: Final = Column("Name", text("metadata.name"), form="name")
AGE: Final = Column("Age", _age)


def number(path: str) -> Callable[[Document, Micros], Any]:
    return text(path, 0)
