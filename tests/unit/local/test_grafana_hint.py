from __future__ import annotations

import re
import shlex
from pathlib import Path

from ecpmon.local.grafana import how_to_start
from ecpmon.resources import data_dir

FOLDER = data_dir("grafana")


def test_nothing_is_said_where_there_is_no_grafana() -> None:
    assert how_to_start(FOLDER, "http://127.0.0.1:9090", 5433, lambda _: None) is None


def test_the_command_sets_every_variable_that_provisioning_reads() -> None:
    command = how_to_start(Path("/a b"), "http://127.0.0.1:9090", 5433, lambda name: f"/usr/sbin/{name}")
    assert command is not None
    words = shlex.split(command)
    assert words[-2:] == ["/usr/sbin/grafana", "server"]
    given = dict(word.split("=", 1) for word in words[:-2])
    assert given["ECPMON_GRAFANA_HOST"] == "127.0.0.1:5433"
    assert given["ECPMON_GRAFANA_DASHBOARDS"] == "/a b/dashboards"
    texts = [path.read_text(encoding="utf-8") for path in (FOLDER / "provisioning").rglob("*.yaml")]
    read = {name for text in texts for name in re.findall(r"(?<!\$)\$(ECPMON_\w+)", text)}
    assert len(read) > 8
    assert read <= given.keys()
