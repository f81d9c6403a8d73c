"""Every query of every dashboard runs against the real schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecpmon.storage.database import Database

GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


def queries(dashboard: dict[str, Any]) -> list[str]:
    panels = [t["rawSql"] for p in dashboard["panels"] for t in p["targets"]]
    return panels + [v["query"] for v in dashboard["templating"]["list"]]


def as_grafana_sends_it(sql: str) -> str:
    sql = re.sub(
        r"\$__timeFilter\(([^)]*)\)", r"\1 BETWEEN '2026-03-01T00:00:00Z' AND '2026-03-02T00:00:00Z'", sql
    )
    return sql.replace("$tenant", "some-tenant")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.name)
async def test_every_query_runs(database: Database, path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    found = queries(dashboard)
    assert found
    for sql in found:
        sent = as_grafana_sends_it(sql)
        assert "$" not in sent, "a macro or variable the test does not know"
        await database.fetch(sent)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.name)
def test_panels_are_where_grafana_can_draw_them(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    assert dashboard["uid"]
    ids = [p["id"] for p in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        assert panel["datasource"] == {"type": "postgres", "uid": "ecpmon"}


def test_the_datasource_is_the_one_the_dashboards_name() -> None:
    text = (GRAFANA / "provisioning" / "datasources" / "ecpmon.yaml").read_text(encoding="utf-8")
    [source] = yaml.safe_load(text)["datasources"]
    assert (source["uid"], source["type"]) == ("ecpmon", "postgres")
