"""Custom resources held against the structural schema of their definition: pruned, defaulted, judged.

The schema was found structural before (`structural_schemas.schema_causes`); values are whatever a client sends.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from copy import deepcopy
from datetime import date, datetime
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any, Final

from ecpmon.kube.causes import (
    Cause,
    Causes,
    Document,
    duplicate,
    invalid,
    shown,
    too_long,
    too_many,
    unsupported,
)
from ecpmon.kube.structural_schemas import compiled

Schema = dict[str, Any]
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_EMBEDDED: Final = "x-kubernetes-embedded-resource"
_OWN: Final = ("apiVersion", "kind", "metadata")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)


def pruned(document: Document, schema: Schema) -> tuple[Document, list[str]]:
    """The object without the fields that its schema does not know, and their paths."""
    unknown: list[str] = []
    found: Document = _pruned(document, {**schema, _EMBEDDED: True}, "", unknown)
    return found, unknown


def _pruned(value: Any, schema: Any, path: str, unknown: list[str]) -> Any:
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        inner = schema.get("items")
        return [_pruned(item, inner, f"{path}[{index}]", unknown) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    result: Document = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if schema.get(_EMBEDDED) and key in _OWN:
            result[key] = item
        elif key in properties:
            result[key] = _pruned(item, properties[key], at, unknown)
        elif isinstance(additional, dict):
            result[key] = _pruned(item, additional, at, unknown)
        elif additional or schema.get(_PRESERVE):
            result[key] = item
        else:
            unknown.append(at)
    return result


def filled(value: Any, schema: Any) -> Any:
    """The value with the defaults of its schema; a null that may not stand where it does is as good as absent."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        return [filled(item, schema.get("items")) for item in value]
    if not isinstance(value, dict):
        return value
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    result: Document = {}
    for key, item in value.items():
        inner = properties.get(key, additional)
        if item is not None or not isinstance(inner, dict) or inner.get("nullable"):
            result[key] = filled(item, inner)
    for key, inner in properties.items():
        if key not in result and "default" in inner:
            result[key] = filled(deepcopy(inner["default"]), inner)
    return result


def object_causes(document: Document, schema: Schema) -> Causes:
    """Everything wrong with a custom resource, but for its metadata."""
    own = {key: value for key, value in document.items() if key not in _OWN}
    wanted = [key for key in schema.get("required") or () if key not in _OWN]
    properties = {k: v for k, v in (schema.get("properties") or {}).items() if k not in _OWN}
    yield from value_causes(own, {**schema, "required": wanted, "properties": properties}, "")


def value_causes(value: Any, schema: Any, path: str) -> Causes:
    """Everything wrong with a value, in the words of the real server."""
    if not isinstance(schema, dict) or (value is None and schema.get("nullable")):
        return
    wrong = _mistyped(value, schema, path)
    if wrong is not None:
        yield wrong
        return
    enum = schema.get("enum")
    if enum and value not in enum:
        yield unsupported(path, value, [item if isinstance(item, str) else shown(item) for item in enum])
    if isinstance(value, str):
        yield from _text(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, schema, path)
    elif isinstance(value, list):
        yield from _list(value, schema, path)
    elif isinstance(value, dict):
        yield from _map(value, schema, path)
    yield from _logic(value, schema, path)


def _mistyped(value: Any, schema: Schema, path: str) -> Cause | None:
    kind = schema.get("type")
    found = _kind_of(value)
    if schema.get(_INT_OR_STRING):
        fits, wanted = found in ("integer", "string"), "integer,string"
    elif not kind:
        return None
    else:
        fits, wanted = found == kind or (kind == "number" and found == "integer"), str(kind)
    if fits:
        return None
    name = path or "<nil>"
    message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause("FieldValueTypeInvalid", message, name)


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    kinds: dict[type, str] = {
        int: "integer",
        str: "string",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return kinds.get(type(value), "null")


def _text(value: str, schema: Schema, path: str) -> Causes:
    least, most, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        yield too_long(path, most)
    if least is not None and len(value) < least:
        yield invalid(path, value, f"{path} in body should be at least {least} chars long")
    if pattern:
        found = compiled(str(pattern))
        if found is not None and not found.search(value):
            yield invalid(path, value, f"{path} in body should match '{pattern}'")
    form = schema.get("format", "")
    check = _FORMS.get(str(form).replace("-", ""))
    if check is not None and not check(value):
        yield invalid(path, value, f'{path} in body must be of type {form}: "{value}"')


def _number(value: float, schema: Schema, path: str) -> Causes:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is not None and (value < least or (value == least and schema.get("exclusiveMinimum"))):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield invalid(path, value, f"{path} in body should be {words} {least}")
    if most is not None and (value > most or (value == most and schema.get("exclusiveMaximum"))):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield invalid(path, value, f"{path} in body should be {words} {most}")
    if step and value % step:
        yield invalid(path, value, f"{path} in body should be a multiple of {step}")
    bits = {"int32": 31, "int64": 63}.get(str(schema.get("format")))
    if bits and isinstance(value, int) and not -(2**bits) <= value < 2**bits:
        yield invalid(path, value, f'{path} in body must be of type {schema["format"]}: "{value}"')


def _list(value: list[Any], schema: Schema, path: str) -> Causes:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} items")
    for index, item in enumerate(value):
        yield from value_causes(item, schema.get("items"), f"{path}[{index}]")
    yield from _repeated(value, schema, path)


def _repeated(value: list[Any], schema: Schema, path: str) -> Causes:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if kind not in ("map", "set"):
        return
    seen = set()
    for index, item in enumerate(value):
        own = {key: item.get(key) for key in keys} if kind == "map" and isinstance(item, dict) else item
        text = json.dumps(own, sort_keys=True)
        if text in seen:
            yield duplicate(f"{path}[{index}]", own)
        seen.add(text)


def _map(value: Document, schema: Schema, path: str) -> Causes:
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield too_many(path, len(value), most)
    if least is not None and len(value) < least:
        yield invalid(path, len(value), f"{path} in body should have at least {least} properties")
    for key in schema.get("required") or ():
        if key not in value:
            yield Cause("FieldValueRequired", "Required value", _joined(path, key))
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    for key, item in value.items():
        inner = properties.get(key, additional)
        yield from value_causes(item, inner, _joined(path, key))


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _logic(value: Any, schema: Schema, path: str) -> Causes:
    for inner in schema.get("allOf") or ():
        yield from value_causes(value, inner, path)
    name = path or "<nil>"
    if schema.get("anyOf") and not any(_fits(value, inner, path) for inner in schema["anyOf"]):
        yield invalid(name, "", f'"{path}" must validate at least one schema (anyOf)')
    if schema.get("oneOf"):
        fitting = sum(_fits(value, inner, path) for inner in schema["oneOf"])
        if fitting != 1:
            count = f"{fitting} valid alternatives" if fitting else "none valid"
            yield invalid(name, "", f'"{path}" must validate one and only one schema (oneOf). Found {count}')
    if schema.get("not") and _fits(value, schema["not"], path):
        yield invalid(name, "", f'"{path}" must not validate the schema (not)')


def _fits(value: Any, schema: Any, path: str) -> bool:
    return next(value_causes(value, schema, path), None) is None


def _is_moment(text: str) -> bool:
    try:
        return bool(_MOMENT.fullmatch(text) and datetime.fromisoformat(f"{text[:10]}T{text[11:19]}+00:00"))
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _is_address(kind: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            kind(text)
        except AddressValueError:
            return False
        return True

    return check


# Forms that the real server looks at; it passes over those that it does not know.
_FORMS: Final[dict[str, Callable[[str], bool]]] = {
    "datetime": _is_moment,
    "date": _is_date,
    "byte": _is_base64,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "ipv4": _is_address(IPv4Address),
    "ipv6": _is_address(IPv6Address),
}
