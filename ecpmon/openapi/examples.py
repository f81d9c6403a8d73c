"""Examples, made of what the schemas say themselves: `examples` of fields first, then defaults, choices and bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Schema = Mapping[str, Any]
_DEEPEST: Final = 12
# What a text is, whatever is said of its form.
_FORMATS: Final = {
    "date-time": "2026-01-20T14:30:00Z",
    "date": "2026-01-20",
    "uuid": "6f1c2a52-0000-4000-8000-000000000000",
    "uri": "https://example.com/hook",
    "email": "operations@example.com",
}
# The same word means the same everywhere.
_NAMES: Final[Mapping[str, Any]] = {
    "tenant_id": "my-ai-service",
    "name": "My AI service",
    "preset": "small",
    "description": "Callbot of the main line",
    "deployment_id": "dep-0f3c1b2a4d5e",
    "message": "as it should be",
    "cpu": "4000m",
    "memory": "8Gi",
    "storage": "0.1TB",
    "gpu_type": "t4",
    "time_zone": "Asia/Seoul",
    "availability": "99.9%",
    "response_time": "200ms",
    "created_by": "operations",
    "timestamp": _FORMATS["date-time"],
}
# A key of an object whose keys are anybody's.
_KEYS: Final = {
    "service_requirements": "callbot",
    "service_resources": "callbot",
    "component_weights": "callbot",
    "metrics": "cpu",
}


class Examples:
    """`of(schema)`: one value that the schema takes. `resolved` follows `$ref`."""

    def __init__(self, resolved: Callable[[Any], Schema]) -> None:
        self._resolved = resolved

    def of(self, schema: Schema, name: str = "", depth: int = 0) -> Any:
        if "examples" in schema:
            return schema["examples"][0]
        schema = self._resolved(schema)
        for said in ("examples", "enum"):
            if said in schema:
                return schema[said][0]
        for said in ("const", "default"):
            if schema.get(said) is not None:
                return schema[said]
        return self._made(schema, name, depth)

    def _made(self, schema: Schema, name: str, depth: int) -> Any:
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self.of(_first_said(schema[several]), name, depth)
        kind = schema.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "object":
                return self._object(schema, name, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return _text(schema, name)
            case "integer" | "number" as number:
                return _number(schema, whole=number == "integer")
            case "boolean":
                return True
            case "null":
                return None
        return _NAMES.get(name, {} if depth else {"name": "value"})

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        fields = schema.get("properties", {})
        required = schema.get("required", ())
        made = {
            key: self.of(field, key, depth + 1)
            for key, field in fields.items()
            if key in required or depth < _DEEPEST
        }
        others = schema.get("additionalProperties")
        if not fields and isinstance(others, Mapping) and others:
            key = _KEYS.get(name, "name")
            return {key: self.of(others, key, depth + 1)}
        return made

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.of(item, "", depth + 1) for item in schema["prefixItems"]]
        if depth >= _DEEPEST or not schema.get("items"):
            return []
        return [self.of(schema["items"], name.removesuffix("s"), depth + 1)] * max(
            1, schema.get("minItems", 0)
        )


def _first_said(options: list[Schema]) -> Schema:
    return next((option for option in options if option.get("type") != "null"), options[0])


def _text(schema: Schema, name: str) -> str:
    if "format" in schema:
        return _FORMATS.get(schema["format"], "text")
    return str(_NAMES.get(name, "text"))[: schema.get("maxLength")].ljust(schema.get("minLength", 0), "x")


def _number(schema: Schema, *, whole: bool) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2))
    middle = min(low + 1, (low + high) / 2)
    return int(middle) if whole else middle
