"""The shipped alerts on ecpmon itself, by promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from prometheus_client import Gauge

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


# Hours since the instant that the last one holds.
JOBS = {
    "it succeeds every turn": ("0+60x60", "ECPJobStalled", "40m", False),
    "it has not for five turns": ("0+60x10 600+0x50", "ECPJobStalled", "16m", False),
    "it has not for seven": ("0+60x10 600+0x50", "ECPJobStalled", "18m", True),
    "somebody tells": ("0+0x60", "ECPMonSilent", "40m", False),
    "nobody has told for four minutes": ("_x60", "ECPMonSilent", "4m", False),
    "nobody has told for six": ("_x60", "ECPMonSilent", "6m", True),
}
BACKUPS = {"35 hours old": (35, False), "37 hours old": (37, True)}


@pytest.mark.parametrize("case", CASES)
def test_a_disk_that_fills_is_told_before_it_is_full(
    case: str, stack_binaries: Binaries, tmp_path: Path
) -> None:
    free, size, told = CASES[case]
    telemetry = Telemetry()
    gauges = (telemetry.disk_free, telemetry.disk_size)
    series = [line(gauge, values) for gauge, values in zip(gauges, (free, size), strict=True)]
    check("ECPDatabaseDiskFilling", series, "7h", told, stack_binaries, tmp_path)


@pytest.mark.parametrize("case", BACKUPS)
def test_a_backup_that_is_too_old_is_told(case: str, stack_binaries: Binaries, tmp_path: Path) -> None:
    hours, told = BACKUPS[case]
    series = [line(Telemetry().last_backup, "3600x2400")]
    check("ECPBackupTooOld", series, f"{hours + 1}h", told, stack_binaries, tmp_path)


def test_who_makes_no_backups_by_us_is_told_nothing(stack_binaries: Binaries, tmp_path: Path) -> None:
    check(
        "ECPBackupTooOld", [line(Telemetry().last_backup, "0x2400")], "39h", False, stack_binaries, tmp_path
    )


@pytest.mark.parametrize("label", ["job", "exported_job"])
@pytest.mark.parametrize("case", JOBS)
def test_a_job_that_does_not_go_on_is_told_whatever_the_scrape_calls_it(
    case: str, label: str, stack_binaries: Binaries, tmp_path: Path
) -> None:
    values, alert, at, told = JOBS[case]
    telemetry, labels = Telemetry(), {label: "alerts"}
    series = [
        line(telemetry.job_success, values, **labels),
        line(telemetry.job_period, "60+0x60", **labels),
    ]
    about = labels if alert == "ECPJobStalled" else {}
    check(alert, series, at, told, stack_binaries, tmp_path, about)


def line(gauge: Gauge, values: str, **labels: str) -> dict[str, str]:
    told = ",".join(f'{name}="{value}"' for name, value in {**labels, "instance": "a:8080"}.items())
    return {"series": f"{next(iter(gauge.describe())).name}{{{told}}}", "values": values}


def check(
    alert: str,
    series: list[dict[str, str]],
    at: str,
    told: bool,
    binaries: Binaries,
    folder: Path,
    about: Mapping[str, str] = MappingProxyType({"instance": "a:8080"}),
) -> None:
    """Whether it fires then, with the labels that say what it is `about`."""
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    [rule] = [rule for rule in rules if rule["alert"] == alert]
    expected = {
        "exp_labels": {**rule["labels"], **about},
        "exp_annotations": rule["annotations"],
    }
    test = {"eval_time": at, "alertname": alert, "exp_alerts": [expected] if told else []}
    document = {
        "rule_files": ["service.yml"],
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": [test]}],
    }
    (folder / "service.yml").write_text(RULES.read_text())
    (folder / "test.yml").write_text(yaml.safe_dump(document))
    argv = [str(binaries.promtool), "test", "rules", "test.yml"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
