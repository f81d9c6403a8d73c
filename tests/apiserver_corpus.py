"""What a real API server answered to mutations of valid objects: tests/corpus/api-server/README.md."""

from __future__ import annotations

import copy
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent / "corpus" / "api-server"
NAMESPACE = "corpus"
# One and the same map wherever it stands in the objects that the mutations were made of: a label that was changed
# in the selector was changed in the template as well.
_SHARED = {"app": "web"}
_BOGUS = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One mutation: which, the body that was posted, and the status and the fields that the server answered."""

    resource: str
    about: str
    body: dict[str, Any]
    status: int
    fields: frozenset[str]
    message: str

    @property
    def valid(self) -> bool:
        return self.status == 201


def answers() -> Iterator[Answer]:
    """All of them, in the order of the file."""
    text = gzip.decompress((FOLDER / "answers-1.36.jsonl.gz").read_bytes())
    for line in text.splitlines():
        row = orjson.loads(line)
        about = f"{row['how']} {row['path']} {row['value']!r}"[:200]
        yield Answer(
            row["resource"],
            about,
            _mutated(row),
            row["status"],
            frozenset(row.get("fields", ())),
            row.get("message", ""),
        )


@cache
def bases() -> dict[str, dict[str, Any]]:
    """A valid object of every resource."""
    found = orjson.loads((FOLDER / "bases.json").read_bytes())
    return {resource: _with_shared(body, dict(_SHARED)) for resource, body in found.items()}


def _with_shared(value: Any, shared: dict[str, str]) -> Any:
    if value == shared:
        return shared
    if isinstance(value, dict):
        return {key: _with_shared(item, shared) for key, item in value.items()}
    return [_with_shared(item, shared) for item in value] if isinstance(value, list) else value


def _mutated(row: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(bases()[row["resource"]])
    holder, key = _found(body, row["path"])
    if row["how"] == "delete":
        del holder[key]
    elif row["how"] == "set":
        holder[key] = row["value"]
    elif row["how"] == "duplicate first":
        holder[key].append(copy.deepcopy(holder[key][0]))
    else:
        holder[key]["bogusField"] = _BOGUS
    return body


def _found(value: Any, path: str) -> tuple[Any, Any]:
    """The holder of what `path` leads to, and the key in it; keys may hold dots themselves."""
    if isinstance(value, list):
        first, _, rest = path.partition(".")
        key: Any = int(first)
    else:
        key = next(k for k in sorted(value, key=len, reverse=True) if f"{path}.".startswith(f"{k}."))
        rest = path[len(key) + 1 :]
    return _found(value[key], rest) if rest else (value, key)
