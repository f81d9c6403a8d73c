"""Questions of the dashboards, as Grafana would send them.

Macros as the PostgreSQL data source expands them with TimescaleDB, and the variables of the Prometheus one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

GRAFANA: Final = Path(__file__).parents[1] / "grafana"
DASHBOARDS: Final = sorted((GRAFANA / "dashboards").rglob("*.json"))
# An answer that is empty while all is well says so by its name.
MAY_BE_EMPTY: Final = frozenset({"Time that nobody saw, by reason", "미관측 시간 (사유별)"})


class Question(NamedTuple):
    """`where`: dashboard and title."""

    where: str
    sql: str | None
    expr: str | None


def questions(path: Path) -> Iterator[Question]:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    name = f"{path.parent.name}/{path.stem}"
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield Question(f"{name}: {panel['title']}", target.get("rawSql"), target.get("expr"))
    for annotation in dashboard["annotations"]["list"]:
        yield Question(f"{name}: {annotation['name']}", annotation["target"]["rawSql"], None)
    for variable in dashboard["templating"]["list"]:
        yield Question(f"{name}: {variable['name']}", variable["query"], None)


def rule_questions() -> Iterator[Question]:
    """Of the alert rules that Grafana evaluates."""
    document = yaml.safe_load(
        (GRAFANA / "provisioning" / "alerting" / "rules.yaml").read_text(encoding="utf-8")
    )
    for group in document["groups"]:
        for rule in group["rules"]:
            for asked in rule["data"]:
                if "expr" in asked["model"]:
                    yield Question(f"rule {rule['title']}", None, asked["model"]["expr"])


def sql_sent(sql: str, tenant: str, start: datetime, end: datetime) -> str:
    """What the database is asked."""
    first, last = f"'{start.isoformat()}'", f"'{end.isoformat()}'"
    quoted = tenant.replace("'", "''")
    sql = re.sub(r"\$__timeFilter\(([^)]*)\)", rf"\1 BETWEEN {first} AND {last}", sql)
    grouped = "time_bucket('{1}',{0}) AS \"time\""
    sql = re.sub(
        r"\$__timeGroupAlias\(([^,]*),\s*'([^']*)'\)", lambda found: grouped.format(found[1], found[2]), sql
    )
    sql = sql.replace("$__timeFrom()", first).replace("$__timeTo()", last)
    sent = sql.replace("${tenant:sqlstring}", f"'{quoted}'")
    assert "$" not in sent, f"a macro or variable that the test does not know: {sql}"
    return sent


def expr_sent(expr: str) -> str:
    """What Prometheus is asked; `$__rate_interval` is four scrapes at least."""
    sent = expr.replace("$__rate_interval", "1m").replace("$__interval", "15s")
    assert "$" not in sent, f"a variable that the test does not know: {expr}"
    return sent


def rows_of(answer: Any) -> list[Any]:
    """Of `/api/v1/query`."""
    assert answer["status"] == "success", answer
    found: list[Any] = answer["data"]["result"]
    return found
