"""The shipped alerts on ecpmon itself, by promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ecpmon.local.packages import Binaries
from ecpmon.resources import data_dir
from ecpmon.telemetry import Telemetry
from tests.waiting import PATIENCE

RULES = data_dir("rules") / "prometheus" / "service.yml"
CASES = {
    "plenty is free": ("100+0x600", "100+0x600", False),
    "less than a tenth is left": ("9+0x600", "100+0x600", True),
    "half is left and goes within a day": ("100-0.1x600", "100+0x600", True),
    "half is left and lasts for weeks": ("60-0.001x600", "100+0x600", False),
    "on another machine": ("0+0x600", "0+0x600", False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_fills_is_told_before_it_is_full(
    case: str, stack_binaries: Binaries, tmp_path: Path
) -> None:
    free, size, told = CASES[case]
    telemetry = Telemetry()
    names = [next(iter(gauge.describe())).name for gauge in (telemetry.disk_free, telemetry.disk_size)]
    series = [
        {"series": f'{name}{{instance="a:8080"}}', "values": values}
        for name, values in zip(names, (free, size), strict=True)
    ]
    [rule] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    expected = {
        "exp_labels": {**rule["labels"], "instance": "a:8080"},
        "exp_annotations": rule["annotations"],
    }
    check = {"eval_time": "7h", "alertname": rule["alert"], "exp_alerts": [expected] if told else []}
    test = {"interval": "1m", "input_series": series, "alert_rule_test": [check]}
    (tmp_path / "service.yml").write_text(RULES.read_text())
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["service.yml"], "tests": [test]}))
    argv = [str(stack_binaries.promtool), "test", "rules", "test.yml"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
