"""A page in Prometheus' text format, made in slices: thousands of lines hold nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from ecpmon.simulator.model.quantities import quantity
from ecpmon.simulator.model.times import SECOND, parsed
from ecpmon.slices import Slices, few

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_AT_ONCE: Final = 500  # lines, some 0.1 ms
_ESCAPED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_UNITS: Final = {"cpu": "core", "memory": "byte", "storage": "byte", "ephemeral_storage": "byte"}


class Page:
    """Lines by metric, in the order in which metrics were first added. What ends in `_total` is a counter."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, name: str, labels: str, value: float) -> None:
        """One sample; `labels` as `text` writes them."""
        line = f"{name}{{{labels}}} {value}"
        found = self._lines.get(name)
        if found is None:
            self._lines[name] = [line]
        else:
            found.append(line)

    def state(self, name: str, labels: str, label: str, now: str, choices: tuple[str, ...]) -> None:
        """1 for what is, 0 for what might be."""
        for choice in choices:
            self.add(name, f'{labels},{label}="{choice}"', 1 if choice == now else 0)

    def condition(self, name: str, labels: str, kind: str, status: str) -> None:
        """A condition of the API: 1 for its status, 0 for the others."""
        self.state(
            name, f'{labels},condition="{kind}"', "status", status.lower(), ("true", "false", "unknown")
        )

    def amounts(self, name: str, labels: str, amounts: dict[str, Any]) -> None:
        """Quantities by resource, each with its unit."""
        for resource, amount in amounts.items():
            spelled = resource.replace(".", "_").replace("/", "_").replace("-", "_")
            unit = _UNITS.get(spelled, "byte" if spelled.startswith("hugepages") else "integer")
            value = float(quantity(amount))
            self.add(name, f'{labels},resource="{spelled}",unit="{unit}"', value)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The page, to be written piece by piece."""
        slices = Slices()
        for name, lines in self._lines.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            yield f"# TYPE {name} {kind}\n".encode()
            for part in few(lines, _AT_ONCE):
                yield ("\n".join(part) + "\n").encode()
                await slices.pause()


def text(**labels: object) -> str:
    """`a="b",c="d"`: the values escaped."""
    return ",".join(f'{name}="{str(value).translate(_ESCAPED)}"' for name, value in labels.items())


def seconds(timestamp: str) -> float:
    """A time of the API as seconds since the epoch."""
    return parsed(timestamp) / SECOND
