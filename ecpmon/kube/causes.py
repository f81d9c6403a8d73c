"""One wrong field, in the API server's own words."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

Document = dict[str, Any]
# Items of a long list that fill a message.
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Cause:
    """One wrong field: `reason` is Kubernetes' word such as FieldValueInvalid, `field` a path as in Go.

    `place` is where it stands, if the server names only what is around it.
    """

    reason: str
    message: str
    field: str
    place: str = ""

    def as_document(self) -> Document:
        return {"reason": self.reason, "message": self.message, "field": self.field}


Causes = Iterator[Cause]


def placed(place: str, causes: Iterable[Cause]) -> Causes:
    """The same causes, known to stand there."""
    for cause in causes:
        yield replace(cause, place=place)


def without(step: str, causes: Iterable[Cause], instead: str = "") -> Causes:
    """The same causes, as the server names them: without that step of their paths."""
    for cause in causes:
        field = cause.field.replace(step, instead, 1)
        yield replace(cause, field=field, place=cause.place or cause.field)


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value{': ' + detail if detail else ''}", field)


def invalid(field: str, value: Any, detail: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}", field)


def immutable(field: str, value: Any, detail: str = "field is immutable") -> Cause:
    return invalid(field, value, detail)


def unsupported(field: str, value: Any, allowed: Iterable[str]) -> Cause:
    listed = ", ".join(f'"{item}"' for item in allowed)
    message = f"Unsupported value: {shown(value)}: supported values: {listed}"
    return Cause("FieldValueNotSupported", message, field)


def duplicate(field: str, value: Any) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {shown(value)}", field)


def forbidden(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def not_found(field: str, value: Any) -> Cause:
    return Cause("FieldValueNotFound", f"Not found: {shown(value)}", field)


def too_long(field: str, most: int) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: may not be more than {most} bytes", field)


def too_many(field: str, count: int, most: int) -> Cause:
    return Cause("FieldValueTooMany", f"Too many: {count}: must have at most {most} items", field)


def shown(value: Any) -> str:
    """The value as JSON, as far as anybody reads."""
    if isinstance(value, list) and len(value) > _SHOWN:
        value = value[:_SHOWN]
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # a number of more than 64 bits
        text = json.dumps(value)
    return text if len(text) <= 1_000 else text[:1_000] + "…"


def of_messages(field: str, value: Any, messages: Iterable[str]) -> Causes:
    """One cause for each message about one value."""
    for message in messages:
        yield invalid(field, value, message)


def not_negative(holder: Mapping[str, Any], keys: Iterable[str], path: str) -> Causes:
    """Whole numbers that may be absent."""
    for key in keys:
        if holder.get(key, 0) < 0:
            detail = "must be greater than or equal to 0"
            yield invalid(f"{path}.{key}".removeprefix("."), holder[key], detail)


def one_of(holder: Mapping[str, Any], key: str, allowed: Collection[str], path: str) -> Causes:
    """A word of a fixed choice that may be absent; `path` is "" at the top."""
    value = holder.get(key)
    if value is not None and value not in allowed:
        yield unsupported(f"{path}.{key}".removeprefix("."), value, allowed)


def needed(holder: Mapping[str, Any], keys: Iterable[str], path: str) -> Causes:
    """Fields that must be there and not empty."""
    for key in keys:
        if holder.get(key) in (None, "", [], {}):
            yield required(f"{path}.{key}")


def only_one(present: Collection[str], path: str, what: str) -> Causes:
    """Of several alternatives the first counts, the others are refused by name."""
    for name in list(present)[1:]:
        yield forbidden(f"{path}.{name}", f"may not specify more than 1 {what}")
