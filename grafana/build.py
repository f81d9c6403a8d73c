"""Dashboards as Grafana reads them, of what `grafana/source/*.yaml` says of each: once in English, once in Korean.

    .venv/bin/python grafana/build.py

Panels flow from left to right in rows of 24. A panel asks the database (`sql`) or Prometheus (`prom`). A test holds the
files in `grafana/dashboards` against this, and runs every question.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("en", "ko")
SQL: Final = {"type": "postgres", "uid": "ecpmon"}
PROMETHEUS: Final = {"type": "prometheus", "uid": "ecpmon-prometheus"}
_TENANT: Final = "SELECT tenant_id FROM tenants WHERE deleted_at IS NULL ORDER BY 1"
_WIDTH: Final = 24
_EVENT: Final = (
    'SELECT "start" AS time, "end" AS timeend, {text} AS text, {tags} AS tags FROM {view} '
    'WHERE tenant_id = ${{tenant:sqlstring}} AND {which} AND "start" <= $__timeTo()::timestamptz '
    'AND coalesce("end", now()) >= $__timeFrom()::timestamptz'
)
# What is laid over the plots of a tenant: colour, title, question.
_ANNOTATIONS: Final[Mapping[str, tuple[str, Mapping[str, str], str]]] = {
    "outages": (
        "red", {"en": "Outages", "ko": "장애"},
        _EVENT.format(text="'down'", tags="'outage'", view="availability_timeline", which="state = 'down'"),
    ),
    "deployments": (
        "blue", {"en": "Deployments", "ko": "배포"},
        _EVENT.format(text="method || ': ' || status", tags="'deployment'", view="deployment_history", which="true"),
    ),
    "maintenance": (
        "purple", {"en": "Maintenance", "ko": "유지보수"},
        _EVENT.format(text="reason", tags="'maintenance'", view="maintenance_plan", which="true"),
    ),
}  # fmt: skip


def dashboards(language: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """File name and document of every dashboard."""
    for file in sorted((HERE / "source").glob("*.yaml")):
        source = yaml.safe_load(file.read_text(encoding="utf-8"))
        yield f"{language}/{file.stem}.json", _dashboard(source, language)


def _dashboard(source: Mapping[str, Any], language: str) -> dict[str, Any]:
    return {
        "uid": _uid(source["uid"], language),
        "title": source["title"][language],
        "tags": ["ecpmon"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": source["from"], "to": "now"},
        "links": [_link(uid, language) for uid in source.get("links", ())],
        "templating": {"list": [_variable(name) for name in source.get("variables", ())]},
        "annotations": {"list": [_annotation(name, language) for name in source.get("annotations", ())]},
        "panels": list(_panels(source["panels"], language)),
    }


def _uid(uid: str, language: str) -> str:
    return uid if language == "en" else f"{uid}-{language}"


def _link(uid: str, language: str) -> dict[str, Any]:
    names = {
        yaml.safe_load(f.read_text(encoding="utf-8"))["uid"]: f for f in (HERE / "source").glob("*.yaml")
    }
    title = yaml.safe_load(names[uid].read_text(encoding="utf-8"))["title"][language]
    return {"title": title, "type": "link", "url": f"/d/{_uid(uid, language)}", "keepTime": True}


def _variable(name: str) -> dict[str, Any]:
    return {
        "name": name, "type": "query", "datasource": SQL, "query": _TENANT, "refresh": 1,
        "includeAll": False, "multi": False,
    }  # fmt: skip


def _annotation(name: str, language: str) -> dict[str, Any]:
    colour, title, sql = _ANNOTATIONS[name]
    return {
        "name": title[language], "datasource": SQL, "enable": True, "iconColor": colour,
        "target": {"refId": "Anno", "format": "table", "rawQuery": True, "editorMode": "code", "rawSql": sql},
    }  # fmt: skip


def _panels(sources: list[Mapping[str, Any]], language: str) -> Iterator[dict[str, Any]]:
    x = y = highest = 0
    for number, source in enumerate(sources, 1):
        width, height = source["size"]
        if x + width > _WIDTH:
            x, y, highest = 0, y + highest, 0
        yield _panel(number, source, language) | {"gridPos": {"x": x, "y": y, "w": width, "h": height}}
        x, highest = x + width, max(highest, height)


def _panel(number: int, source: Mapping[str, Any], language: str) -> dict[str, Any]:
    asked = SQL if "sql" in source else PROMETHEUS
    return {
        "id": number,
        "title": source["title"][language],
        "type": source["type"],
        "datasource": asked,
        "targets": [target | {"datasource": asked} for target in _targets(source, language)],
        "fieldConfig": {"defaults": {"unit": source.get("unit", "none")}, "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"], "values": source["type"] in ("bargauge", "piechart")}},
    }  # fmt: skip


def _targets(source: Mapping[str, Any], language: str) -> Iterator[dict[str, Any]]:
    if "sql" in source:
        shape = source.get("format", "table")
        yield {"refId": "A", "format": shape, "rawQuery": True, "editorMode": "code", "rawSql": source["sql"]}
        return
    for letter, asked in zip("ABCDEFGH", source["prom"], strict=False):
        legend = asked["legend"]
        shown = legend if isinstance(legend, str) else legend[language]
        yield {"refId": letter, "expr": asked["expr"], "legendFormat": shown, "range": True}


def text_of(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    for language in LANGUAGES:
        for name, document in dashboards(language):
            target = HERE / "dashboards" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text_of(document), encoding="utf-8")


if __name__ == "__main__":
    main()
