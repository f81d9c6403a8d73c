"""docs/reference/api.md and metrics.md are what the code declares. `ECPMON_RECORD=1` writes them anew."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ecpmon.api.application import route_table
from ecpmon.api.openapi.document import document
from ecpmon.telemetry import Telemetry
from ecpmon.tenantlines import DEPLOYMENTS, MAINTENANCE, OBJECTIVE, REQUESTS, SLA, STALE, UP, USAGE

METHODS = ("get", "post", "put", "patch", "delete")
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def held(name: str, text: str) -> None:
    page = REFERENCE / name
    if os.environ.get("ECPMON_RECORD"):
        page.write_text(text, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == text


def cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", r"\|").strip()


def api_lines() -> Iterator[str]:
    made: dict[str, Any] = document(route_table())
    yield "# API"
    yield ""
    yield "Every route. `/openapi.json` has bodies, answers and examples; `/docs` and `/redoc` show them"
    yield "([contract](../contract.md))."
    yield ""
    yield "| request | what it does | query | answers |"
    yield "|---|---|---|---|"
    for path, methods in sorted(made["paths"].items()):
        for method in METHODS:
            if method in methods:
                yield operation_line(f"{method.upper()} {path}", methods[method], made["components"])


def operation_line(request: str, operation: dict[str, Any], components: dict[str, Any]) -> str:
    named = [parameter_of(each, components) for each in operation.get("parameters", ())]
    query = " ".join(f"`{each['name']}`" for each in named if each["in"] == "query")
    said = cell(operation.get("summary") or operation.get("description", ""))
    return f"| `{request}` | {said} | {query} | {' '.join(sorted(operation['responses']))} |"


def parameter_of(each: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    where = each.get("$ref")
    found: dict[str, Any] = components["parameters"][where.rpartition("/")[2]] if where else each
    return found


def metric_lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "What `/metrics` exposes ([operations](../operations.md#metrics)). Those of tenants carry `tenant_id`."
    yield ""
    yield "| series | kind | labels | meaning |"
    yield "|---|---|---|---|"
    own = [family for family in Telemetry().registry._collector_to_names if hasattr(family, "_documentation")]
    for family in own:
        name = family._name + ("_total" if family._type == "counter" else "")
        yield from rows([(name, family._type, family._labelnames, family._documentation)])
    of_tenants = [*USAGE.values(), MAINTENANCE, STALE, UP, *SLA.values(), *OBJECTIVE.values()]
    yield from rows((name, "gauge", ("tenant_id",), text) for name, text in of_tenants)
    yield from rows([(DEPLOYMENTS[0], "histogram", ("tenant_id", "preset"), DEPLOYMENTS[1])])
    yield from rows([(REQUESTS[0], "counter", ("tenant_id", "method", "status", "code"), REQUESTS[1])])


def rows(found: Iterable[tuple[str, str, Iterable[str], str]]) -> Iterator[str]:
    for name, kind, labels, text in found:
        yield f"| `{name}` | {kind} | {' '.join(f'`{label}`' for label in labels)} | {cell(text)} |"


def test_the_page_of_the_api_is_what_the_routes_declare() -> None:
    held("api.md", "\n".join(api_lines()) + "\n")


def test_the_page_of_metrics_is_what_is_exposed() -> None:
    held("metrics.md", "\n".join(metric_lines()) + "\n")
