"""Series that agents have sent before, by the bytes of their labels.

Invariants: what is remembered follows from the bytes alone (and from whom the sender named), so that it stays right
whatever becomes of tenants; whether the sender may write for a tenant is asked with every request. Of one tenant
`PER_TENANT` are remembered at most, so that nobody's new names push out what others send again and again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ecpmon.agents.series import began_by
from ecpmon.agents.taking import Known
from ecpmon.memory import Interned
from ecpmon.model.samples import SeriesKey, Shape, Shapes

MOST: Final = 100_000
PER_TENANT: Final = 10_000
# The tenant of series that are nobody's.
NOBODY: Final = ""
_SHAPES: Final = Shapes()
_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose series are: of the tenant that the request `named`; else of the one that their label names; else of the
    sender's own, if it has just one (`usual`)."""

    named: str | None = None
    usual: str | None = None

    def tenant(self, label: str | None) -> str:
        return self.named or label or self.usual or NOBODY


class Memory:
    """Of one process. `keys`: series by their numbers, which tenants share."""

    def __init__(self) -> None:
        self.keys: list[SeriesKey] = []
        self._numbers: dict[SeriesKey, int] = {}
        self._began: dict[int, int] = {}
        self._scopes: defaultdict[Whose, dict[bytes, Known]] = defaultdict(dict)
        self._of: Counter[str] = Counter()
        self._tenants: dict[str, str] = {}
        self._shapes: Interned[int, Shape] = Interned(400_000)

    @property
    def full(self) -> bool:
        """Whether another one should begin anew; who works with this one goes on."""
        return self._of.total() >= MOST or len(self.keys) >= MOST

    def known(self, whose: Whose) -> dict[bytes, Known]:
        return self._scopes[whose]

    def number_of(self, key: SeriesKey) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

    def began_by(self, number: int) -> int | None:
        """The series that says when this one began; None: it can have none."""
        found = self._began.get(number)
        if found is None:
            key = began_by(self.keys[number])
            found = self._began[number] = _NONE if key is None else self.number_of(key)
        return None if found == _NONE else found

    def remember(self, whose: Whose, block: bytes, tenant: str, number: int) -> None:
        known = self._scopes[whose]
        if block not in known and self._of[tenant] < PER_TENANT:
            # One text for each tenant: those of one are told apart by their place in memory alone.
            known[block] = self._tenants.setdefault(tenant, tenant), number
            self._of[tenant] += 1

    def shape(self, numbers: tuple[int, ...]) -> Shape | None:
        """Of these series; None when one of them stands twice."""
        shape = self._shapes.get(numbers)
        if shape is None and len(set(numbers)) == len(numbers):
            shape = self._shapes.put(numbers, _SHAPES.of(tuple(self.keys[number] for number in numbers)))
        return shape

    def columns(self, numbers: Sequence[int], values: Sequence[float]) -> tuple[Shape, Sequence[float]]:
        """Shape and values; of a series that stands twice the last value counts."""
        shape = self.shape(tuple(numbers))
        if shape is not None:
            return shape, values
        last = dict(zip(numbers, values, strict=True))
        shape = self.shape(tuple(last))
        assert shape is not None  # noqa: S101 - keys of a dict are none of them twice
        return shape, [*last.values()]
