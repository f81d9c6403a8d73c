"""What has changed between two states, as JSON that is applied to the JSON of the first.

States share what did not change, so that changes are found by identity: the work of finding them grows with the
number of keys, what is written only with what was changed. How a field is compared follows from its type, and
a field of a type that nobody has thought of is an error when this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, get_args, get_origin, get_type_hints

from ecpmon.simulator.model.state import ClusterState

# By field: the new value of a scalar, or how to change a mapping or a sequence (see the functions below).
Change = dict[str, Any]
Document = dict[str, Any]


class Kind(StrEnum):
    SCALAR = "scalar"
    SEQUENCE = "sequence"
    MAPPING = "mapping"
    NESTED = "nested"  # a mapping of mappings


def kinds_of(state: type) -> dict[str, Kind]:
    """The kind of every field of a state; TypeError for a field whose changes could not be told."""
    return {name: _kind(name, hint) for name, hint in get_type_hints(state).items()}


def _kind(name: str, hint: Any) -> Kind:
    parts = get_args(hint)
    if hint in (int, float, str, bool):
        return Kind.SCALAR
    if get_origin(hint) is tuple and parts[1:] == (Ellipsis,):
        return Kind.SEQUENCE
    if get_origin(hint) is Mapping and parts[0] is str:
        inner = parts[1]
        nested = get_origin(inner) is Mapping and get_args(inner)[0] is str
        return Kind.NESTED if nested else Kind.MAPPING
    raise TypeError(f"the journal does not know how to write changes of the field {name}: {hint}")


_KINDS: Final = kinds_of(ClusterState)
_ABSENT: Final[Any] = object()


def changes(old: ClusterState, new: ClusterState) -> Change:
    """What makes `new` of `old`; empty when nothing has changed. Its values are for `orjson.dumps`.

    Applied to the JSON of `old` it gives the JSON of `new`, with all mappings in the same order.
    """
    found = {}
    for name, kind in _KINDS.items():
        part = _TOLD[kind](getattr(old, name), getattr(new, name))
        if part is not None:
            found[name] = part
    return found


def apply(document: Document, change: Change) -> None:
    """Change `document`, the JSON of a state, in place.

    KeyError, IndexError, TypeError or ValueError when the change was not made for this document.
    """
    for name, part in change.items():
        kind = _KINDS[name]
        if kind is Kind.SCALAR:
            document[name] = part
        elif kind is Kind.SEQUENCE:
            # A field that is younger than the document is not in it yet.
            _apply_sequence(document.setdefault(name, []), part)
        else:
            _apply_mapping(document.setdefault(name, {}), part)


def _scalar(old: Any, new: Any) -> Any:
    return None if old == new else new


# Mappings: {"gone": [key], "set": {key: value}, "within": {key: change of the mapping there}}. First keys go, then
# they are set: one that stands in both moves to the end.


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], *, nested: bool = False) -> Change | None:
    """Keeps the beginning of `new` that stands in this order in `old`; the rest is gone and set anew."""
    if old is new:
        return None
    gone: list[str] = []
    made: dict[str, Any] = {}
    within: dict[str, Change] = {}
    entries = iter(old.items())
    for key, value in new.items():
        before = _ABSENT
        for other, found in entries:
            if other == key:
                before = found
                break
            gone.append(other)
        if before is value:
            continue
        if not nested or before is _ABSENT:
            made[key] = value
        elif (part := _mapping(before, value)) is not None:
            within[key] = part
    gone += [key for key, _ in entries]
    parts = {"gone": gone, "set": made, "within": within}
    return {name: part for name, part in parts.items() if part} or None


def _nested(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    return _mapping(old, new, nested=True)


def _apply_mapping(document: Document, part: Change) -> None:
    for key in part.get("gone", ()):
        del document[key]
    for key, value in part.get("set", {}).items():
        document[key] = value
    for key, inner in part.get("within", {}).items():
        _apply_mapping(document[key], inner)


# Sequences, whichever is shorter:
# {"drop": n, "keep": n, "rest": n, "new": [value]}: without the first `drop`, the next `keep` stay, the last `rest`
#   stay, and what lay between them becomes `new`. Queues and logs change like this.
# {"size": n, "at": [[place, value]], "new": [value]}: cut to `size`, put values in their places, append. Heaps do.


def _sequence(old: Sequence[Any], new: Sequence[Any]) -> Change | None:
    if old == new:
        return None
    spliced = _spliced(old, new)
    if len(spliced["new"]) <= 1:
        return spliced
    placed = _placed(old, new)
    return placed if len(placed["at"]) + len(placed["new"]) < len(spliced["new"]) else spliced


def _spliced(old: Sequence[Any], new: Sequence[Any]) -> Change:
    drop = old.index(new[0]) if new and new[0] in old else 0
    left = old[drop:]
    keep = _common(left, new)
    rest = _common(left[keep:][::-1], new[keep:][::-1])
    return {"drop": drop, "keep": keep, "rest": rest, "new": new[keep : len(new) - rest]}


def _common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many values are the same at the beginning of both."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    return next(place for place in range(size) if one[place] != other[place])


def _placed(old: Sequence[Any], new: Sequence[Any]) -> Change:
    size = min(len(old), len(new))
    places = [[place, new[place]] for place in range(size) if old[place] != new[place]]
    return {"size": size, "at": places, "new": new[size:]}


def _apply_sequence(document: list[Any], part: Change) -> None:
    if "size" in part:
        del document[part["size"] :]
        for place, value in part["at"]:
            document[place] = value
        document += part["new"]
    else:
        del document[: part["drop"]]
        document[part["keep"] : len(document) - part["rest"]] = part["new"]


_TOLD: Final[Mapping[Kind, Callable[[Any, Any], Any]]] = {
    Kind.SCALAR: _scalar,
    Kind.SEQUENCE: _sequence,
    Kind.MAPPING: _mapping,
    Kind.NESTED: _nested,
}
