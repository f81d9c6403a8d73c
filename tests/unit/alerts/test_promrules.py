"""The generated Prometheus rules: committed as generated, with the policy's own numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import yaml

from ecpmon.alerts.policy import default_policies
from ecpmon.alerts.promql import Sli, Targets
from ecpmon.alerts.promrules import FILE_NAME, default_sli, render, shipped, voiceless
from ecpmon.resources import data_dir
from ecpmon.sla.burn import PolicyError
from ecpmon.telemetry import Telemetry
from ecpmon.tenantlines import MAINTENANCE_GAUGE, UP_GAUGE

POLICIES = default_policies()
SLI = Sli("min by (tenant_id) (up)")


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def recorded(text: str) -> dict[str, str]:
    return {rule["record"]: rule["expr"] for rule in rules_of(text) if "record" in rule}


def test_the_committed_file_is_what_the_generator_writes() -> None:
    committed = (data_dir("rules") / "prometheus" / FILE_NAME).read_text(encoding="utf-8")
    assert committed == shipped(), "run: ecpmon rules render --out rules/prometheus"


@pytest.mark.parametrize("window", ["5m", "30m", "1h", "2h", "6h", "1d", "3d"])
def test_every_window_has_its_ratio_its_burn_rate_and_its_coverage(window: str) -> None:
    wanted = {f"tenant:slo_{name}_{window}" for name in ("bad:ratio", "burn:rate", "coverage:ratio")}
    assert wanted <= recorded(shipped()).keys()


@pytest.mark.parametrize(
    ("days", "page", "ticket"),
    [(30, ("14.4", "6"), ("3", "1")), (7, ("3.36", "1.4"), ("0.7", "0.233333333333"))],
)
def test_factors_follow_from_the_period(days: int, page: tuple[str, str], ticket: tuple[str, str]) -> None:
    policies = {name: policy.with_period(timedelta(days=days)) for name, policy in POLICIES.items()}
    rules = recorded(render(policies, Targets(), SLI))
    for name, windows, factors in (("page", ("1h", "6h"), page), ("ticket", ("1d", "3d"), ticket)):
        for window, factor in zip(windows, factors, strict=True):
            assert f"tenant:slo_burn:rate_{window} > {factor} and" in rules[f"tenant:slo_{name}:firing"]


def test_alerts_carry_the_severity_and_the_source_of_the_policy() -> None:
    alerts = {rule["labels"]["severity"]: rule for rule in rules_of(shipped()) if "alert" in rule}
    assert set(alerts) == {"page", "ticket"}
    for name, alert in alerts.items():
        assert alert["annotations"]["source"] == POLICIES[name].source


def test_the_expression_and_its_age_are_those_of_sli_yaml() -> None:
    sli = default_sli()
    up = recorded(shipped())["tenant:slo_up:min"]
    assert sli.age is not None
    assert sli.availability in up
    assert f"({sli.age}) <= 75" in up


def test_one_line_per_distinct_target_names_its_tenants_and_every_other_has_the_default() -> None:
    text = render(POLICIES, Targets({"bank": 0.999, "shop": 0.99, "clinic": 0.999}), SLI)
    assert recorded(text)["tenant:slo_target:ratio"].split("\nor\n") == [
        '0 * tenant:slo_history:seconds{tenant_id=~"bank|clinic"} + 0.999',
        '0 * tenant:slo_history:seconds{tenant_id=~"shop"} + 0.99',
        "0 * tenant:slo_history:seconds + 0.995",
    ]


def test_a_target_no_outage_burns_fast_enough_for_is_told_and_stops_nobody() -> None:
    targets = Targets({"bank": 0.999, "club": 0.9, "attic": 0.5})
    assert voiceless(POLICIES, targets) == {"page": ["attic"]}
    assert '"attic"' in recorded(render(POLICIES, targets, SLI))["tenant:slo_target:ratio"]


def test_maintenance_is_read_from_a_gauge_that_we_export() -> None:
    telemetry = Telemetry()
    telemetry.tenants.maintenance("bank", True)
    shown = b"".join(telemetry.exposition(None)).decode()
    assert f'\n{MAINTENANCE_GAUGE}{{tenant_id="bank"}} 1.0\n' in shown
    rules = recorded(shipped())
    assert rules["tenant:slo_maintenance:on"] == f"max by (tenant_id) ({MAINTENANCE_GAUGE}) == 1"
    assert rules["tenant:slo_up:min"].endswith("unless on (tenant_id) tenant:slo_maintenance:on")


def test_whether_a_tenant_is_up_is_read_from_a_gauge_of_ours_before_all_else() -> None:
    telemetry = Telemetry()
    telemetry.tenants.up({"bank": 1.0})
    assert f'\n{UP_GAUGE}{{tenant_id="bank"}} 1.0\n' in b"".join(telemetry.exposition(None)).decode()
    assert recorded(shipped())["tenant:slo_up:min"].startswith(f"(min by (tenant_id) ({UP_GAUGE})\nor\n(")


def test_another_label_of_the_tenant_is_given_to_our_gauge() -> None:
    rules = recorded(render(POLICIES, Targets({"a": 0.99}), Sli("min by (customer) (up)", label="customer")))
    assert rules["tenant:slo_maintenance:on"] == (
        f'max by (customer) (label_replace({MAINTENANCE_GAUGE}, "customer", "$1", "tenant_id", "(.+)")) == 1'
    )
    assert '{customer=~"a"}' in rules["tenant:slo_target:ratio"]


def test_the_order_of_the_input_does_not_matter() -> None:
    backwards = dict(reversed(POLICIES.items()))
    assert render(backwards, Targets({"b": 0.99, "a": 0.999}), SLI) == render(
        POLICIES, Targets({"a": 0.999, "b": 0.99}), SLI
    )


@pytest.mark.parametrize(
    ("sentence", "targets"),
    [
        ("a target of 100 %", Targets({"t": 1.0})),
        ("a default of 0", Targets(default=0.0)),
        ("not a number", Targets({"t": float("nan")})),
        ("a default at which no page can fire", Targets(default=0.5)),
        ("not the id of a tenant", Targets({'a"} or up{': 0.99})),
    ],
)
def test_targets_that_cannot_work_are_refused(sentence: str, targets: Targets) -> None:
    with pytest.raises(PolicyError):
        render(POLICIES, targets, SLI)


def test_policies_that_cannot_be_named_are_refused() -> None:
    odd = replace(POLICIES["page"], name="no spaces")
    with pytest.raises(PolicyError, match="name"):
        render({"no spaces": odd}, Targets(), SLI)
    with pytest.raises(PolicyError, match="no policy"):
        render({}, Targets(), SLI)
