"""The shipped burn-rate policies, and what their loader refuses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ecpmon.alerts.policy import default_policies, load_policies, parse_duration
from ecpmon.model.alerts import Severity
from ecpmon.sla.burn import PolicyError, check_policy

SHIPPED = (Path(__file__).parents[3] / "rules" / "burn_rate.yaml").read_text()


def test_the_shipped_policies_are_googles() -> None:
    policies = default_policies()
    shape = {
        name: [(pair.budget_share, pair.long, pair.short) for pair in policy.pairs]
        for name, policy in policies.items()
    }
    minutes = {text: parse_duration(text, "") for text in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")}
    assert shape == {
        "page": [(0.02, minutes["1h"], minutes["5m"]), (0.05, minutes["6h"], minutes["30m"])],
        "ticket": [(0.1, minutes["1d"], minutes["2h"]), (0.1, minutes["3d"], minutes["6h"])],
    }
    for policy in policies.values():
        check_policy(policy, 0.995)
        assert "SRE workbook" in policy.source
        assert policy.period == timedelta(days=30)
        assert Severity(policy.severity)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("period: 30d", "period: 30 days", "period: expected a duration"),
        ("period: 30d", "period: 400d", "period: 400d is longer than a year"),
        ("period: 30d", "", "document: missing or unknown keys: period"),
        ("min_coverage: 0.9", "min_coverage: high", "min_coverage: expected a number"),
        ("min_coverage: 0.9", "min_coverage: true", "min_coverage: expected a number"),
        ("long: 1h", "long: 3600", r"policies.page.pairs\[0\].long: expected a duration"),
        ("long: 1h", "lang: 1h", r"policies.page.pairs\[0\]: missing or unknown keys: lang, long"),
        ("severity: page", "severity: page\n    extra: 1", "policies.page: missing or unknown keys: extra"),
        ("period: 30d", "period: [", "not YAML"),
    ],
)
def test_mistakes_are_refused_with_their_path(old: str, new: str, message: str) -> None:
    assert old in SHIPPED
    with pytest.raises(PolicyError, match=message):
        load_policies(SHIPPED.replace(old, new, 1))


@pytest.mark.parametrize("text", ["", "[]", "policies: {}", "null"])
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        load_policies(text)
