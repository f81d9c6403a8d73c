"""Strategies for JSON bodies: as a pydantic model wants them, then broken in one or two places."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hypothesis import strategies as st
from pydantic import BaseModel

from tests.fuzz import nasty

SERVICES: Final = ("chatbot", "callbot", "stt")
# Values that mean something where a schema only says that they are text, by the name of the field.
HINTS: Final[Mapping[str, Sequence[Any]]] = {
    "availability": ("99.5%", "99.9", "50%"), "response_time": ("200ms", "1.5s", None),
    "preset": ("micro", "large", None),
    "time_zone": ("UTC", "Asia/Seoul", "Europe/Berlin"), "sli_source": ("auto", "push", "prometheus"),
    "condition": ("cpu_usage > 80", "avg(cpu_usage, 5m) > 1 and error_rate >= 0.5", "up == 0"),
    "duration": ("30s", "5m", "2h"), "step": ("1m", "5m"), "window": ("24h", "30d"), "policy": ("page", None),
    "start": ("2026-03-03T09:00:00Z", "2026-03-03T09:00:00"), "end": ("2026-03-03T10:00:00Z", None),
    "rrule": ("FREQ=WEEKLY;BYDAY=SU", "FREQ=DAILY;UNTIL=20270101", None), "reason": ("upgrade",),
    "from": ("2026-03-01T09:00:00Z",), "to": ("2026-03-02T08:00:00Z", None), "from_": ("2026-03-01T09:00:00Z",),
    "url": ("https://hooks.example/x", "http://127.0.0.1/x"), "recipients": (["a@b.example"], []),
    "startsAt": ("2026-03-02T08:59:00Z", "0001-01-01T00:00:00Z"), "endsAt": ("0001-01-01T00:00:00Z",),
    "version": ("4",), "labels": ({"alertname": "x", "severity": "critical"}, {}), "metric": ("requests_total",),
    "timestamp": ("2026-03-02T08:59:00Z", None), "metrics": ({"cpu_usage": 1, "up": 1}, {"cpu": 12.5}, {"custom.x": 3}),
    "method": ("simulator", "kubernetes", "gitops"), "failure_type": ("pod_crash", "node_down", "network_latency"),
    "deployed_at": ("2026-03-02T08:00:00Z", None), "kind": ("latency", "requests"), "threshold_ms": (200.0, None),
    "windows": (["30d", "7d"], ["month"]), "target": (0.99, "99.9%"), "to_": ("2026-03-02T08:00:00Z",),
    "roles": (["viewer"], ["admin"]), "tenant_access": (["*"], ["beta"]), "expires_at": ("2026-12-31T00:00:00Z", None),
    "valid_until": ("2026-12-31T00:00:00Z", None), "restarted_at": ("2026-03-02T08:00:00Z",),
}  # fmt: skip


def of_model(model: type[BaseModel], hints: Mapping[str, Sequence[Any]]) -> st.SearchStrategy[Any]:
    """Documents that mostly pass as `model`."""
    schema = model.model_json_schema(by_alias=True)
    return _of_schema(schema, schema.get("$defs", {}), "", {**HINTS, **hints}, 0)


def _of_schema(
    schema: Mapping[str, Any],
    defs: Mapping[str, Any],
    name: str,
    hints: Mapping[str, Sequence[Any]],
    depth: int,
) -> st.SearchStrategy[Any]:
    if name in hints:
        return st.sampled_from(list(hints[name]))
    if "$ref" in schema:
        return _of_schema(defs[schema["$ref"].rpartition("/")[2]], defs, name, hints, depth)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return st.one_of([_of_schema(each, defs, "", hints, depth) for each in schema[several]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    return _of_type(schema, defs, hints, depth)


def _of_type(
    schema: Mapping[str, Any], defs: Mapping[str, Any], hints: Mapping[str, Sequence[Any]], depth: int
) -> st.SearchStrategy[Any]:
    low = schema.get("minimum", 0)
    high = schema.get("maximum", low + 1_000)
    match schema.get("type"):
        case "object" if "properties" in schema:
            fields = {k: _of_schema(v, defs, k, hints, depth + 1) for k, v in schema["properties"].items()}
            needed = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {k: v for k, v in fields.items() if k in needed},
                optional={k: v for k, v in fields.items() if k not in needed},
            )
        case "object":
            inner = schema.get("additionalProperties")
            values = (
                _of_schema(inner, defs, "", hints, depth + 1) if isinstance(inner, dict) else st.integers()
            )
            return st.dictionaries(st.sampled_from(SERVICES), values, min_size=1, max_size=2)
        case "array":
            items = schema.get("items") or {"type": "string"}
            return st.lists(_of_schema(items, defs, "", hints, depth + 1), min_size=1, max_size=3)
        case "integer":
            return st.integers(int(low), int(high))
        case "number":
            return st.floats(0.001, min(float(high), 1_000.0)).map(lambda x: round(x, 3))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return st.sampled_from(["a", "some text", "chatbot"])


def _places(document: Any) -> list[tuple[Any, ...]]:
    """Paths of everything in `document`, itself included."""
    found: list[tuple[Any, ...]] = [()]
    items = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document)
        if isinstance(document, list)
        else ()
    )
    for key, value in items:
        found += [(key, *rest) for rest in _places(value)]
    return found


def _changed(document: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    """`document` with one place replaced, left out, or called by another name."""
    if not path:
        return value
    key, *rest = path
    if rest or how == "replace":
        inner = _changed(document[key], tuple(rest), how, value)
        if isinstance(document, dict):
            return {**document, key: inner}
        return [*document[:key], inner, *document[key + 1 :]]
    if isinstance(document, list):
        return [*document[:key], *document[key + 1 :]] if how == "leave out" else [*document, value]
    kept = {k: v for k, v in document.items() if k != key}
    return kept if how == "leave out" else {**kept, _as_key(value): document[key]}


def _as_key(value: Any) -> str:
    return value if isinstance(value, str) else str(value)[:50] if not isinstance(value, int) else "0"


@st.composite
def broken(draw: st.DrawFn, fine: st.SearchStrategy[Any]) -> Any:
    """A document of `fine`, most often with something nasty in it."""
    document = draw(fine)
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 1, 2)))):
        path = draw(st.sampled_from(_places(document)[:400]))
        how = draw(st.sampled_from(("replace", "replace", "replace", "leave out", "rename")))
        document = _changed(document, path, how, draw(st.sampled_from(nasty.JSON)))
    return document


def written(document: Any, *, escaped: bool) -> bytes:
    """JSON as a sender's library writes it: ASCII with escapes, or UTF-8 with whatever the texts hold."""
    if escaped:
        return json.dumps(document).encode()
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


@st.composite
def body_of(draw: st.DrawFn, fine: st.SearchStrategy[Any]) -> bytes:
    if draw(st.integers(0, 11)) == 11:
        return draw(st.sampled_from(nasty.BODIES) | st.binary(max_size=200))
    return written(draw(broken(fine)), escaped=draw(st.booleans()))
