"""Dashboards and provisioning are as Grafana can use them, and every question of SQL runs against the real schema."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import yaml

from ecpmon.storage.database import Database
from tests.grafana import DASHBOARDS, GRAFANA, questions, sql_sent

IDS = [f"{path.parent.name}/{path.stem}" for path in DASHBOARDS]
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def provisioned(name: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / name).read_text(encoding="utf-8"))


def test_the_dashboards_are_what_their_sources_say() -> None:
    spec = spec_from_file_location("grafana_build", GRAFANA / "build.py")
    assert spec
    assert spec.loader
    build = module_from_spec(spec)
    spec.loader.exec_module(build)
    made = {
        name: build.text_of(document)
        for language in build.LANGUAGES
        for name, document in build.dashboards(language)
    }
    there = {
        str(path.relative_to(GRAFANA / "dashboards")): path.read_text(encoding="utf-8") for path in DASHBOARDS
    }
    assert there == made


async def test_every_question_runs(database: Database) -> None:
    asked = 0
    for path in DASHBOARDS:
        for question in questions(path):
            if question.sql is not None:
                await database.fetch(sql_sent(question.sql, "some-tenant's", START, END))
                asked += 1
    assert asked > 30


@pytest.mark.parametrize("path", DASHBOARDS, ids=IDS)
def test_panels_are_where_grafana_can_draw_them(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    ids = [p["id"] for p in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        grid = panel["gridPos"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert grid["x"] + grid["w"] <= 24
        assert not taken & cells
        taken |= cells


def test_uids_are_fixed_and_their_own() -> None:
    uids = [json.loads(path.read_text(encoding="utf-8"))["uid"] for path in DASHBOARDS]
    assert len(set(uids)) == len(uids)
    assert {"ecpmon-fleet", "ecpmon-tenant", "ecpmon-tenant-ko"} <= set(uids)
    assert all(len(uid) <= 40 for uid in uids)


def test_what_dashboards_and_rules_ask_is_provisioned() -> None:
    sources = {each["uid"]: each["type"] for each in provisioned("datasources/ecpmon.yaml")["datasources"]}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            assert sources[panel["datasource"]["uid"]] == panel["datasource"]["type"]
    [group] = provisioned("alerting/rules.yaml")["groups"]
    asked = {data["datasourceUid"] for rule in group["rules"] for data in rule["data"]}
    assert asked <= {*sources, "__expr__"}
    assert group["folder"] in [each["folder"] for each in provisioned("dashboards/ecpmon.yaml")["providers"]]


def test_every_policy_leads_to_a_contact_point_there_is() -> None:
    points = {each["name"] for each in provisioned("alerting/contact-points.yaml")["contactPoints"]}
    [policy] = provisioned("alerting/policies.yaml")["policies"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} == points
    kinds = {
        r["type"]
        for each in provisioned("alerting/contact-points.yaml")["contactPoints"]
        for r in each["receivers"]
    }
    assert kinds == {"slack", "email", "webhook"}
