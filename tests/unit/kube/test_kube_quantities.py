"""Quantities, schedules and addresses: what a server reads out of short texts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.kube import names
from ecpmon.kube.cron import schedule_problem
from ecpmon.kube.quantities import parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("100m", "0.1"), ("64Mi", 64 * 1024**2), ("1e3", 1000), ("1E", 10**18), ("2k", 2000),
     ("1.5Gi", 3 * 1024**3 // 2), ("+5u", "0.000005"), (".5", "0.5"), ("5.", 5), ("-1", -1), ("0", 0),
     ("1e99", 2**63 - 1), ("99999999999Ei", 2**63 - 1), ("1e-999999999", "1e-9"), ("1e999999999", 2**63 - 1)],
)  # fmt: skip
def test_quantities_are_exact_and_within_what_the_server_holds(text: str, value: str | int) -> None:
    assert parsed(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", " ", ".", "1 Gi", "1GiB", "1e", "1ee3", "NaN", "inf", "1_000", "٣", "0x1"]
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        parsed(text)


@given(st.text(max_size=60))
def test_short_texts_of_any_kind_are_judged_without_a_slip(text: str) -> None:
    for rule in (names.dns_label, names.dns_subdomain, names.qualified_name, names.label_value, names.port_name,
                 names.config_key, names.path_segment, names.percent, names.environment_name):  # fmt: skip
        assert all(rule(text)) is True
    schedule_problem(text)
    network, address = names.cidr(text), names.ip(text)
    assert network is None or str(network.prefixlen) == text.partition("/")[2]
    assert address is None or "/" not in text


@pytest.mark.parametrize(
    ("text", "found"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("010.0.0.0/8", "10.0.0.0/8"),
     ("2001:db8::/64", "2001:db8::/64"), ("10.0.0.0", None), ("10.0.0.0/33", None), ("10.0.0.0/255.0.0.0", None),
     ("10.0.0.0/08", None), ("fe80::1%eth0/64", None), ("10.0.0/8", None)],
)  # fmt: skip
def test_networks(text: str, found: str | None) -> None:
    network = names.cidr(text)
    assert (None if network is None else str(network)) == found
