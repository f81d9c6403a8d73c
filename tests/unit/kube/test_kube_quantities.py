"""Quantities, schedules and addresses: what a server reads out of short texts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecpmon.kube import addresses, names
from ecpmon.kube.cron import schedule_problem
from ecpmon.kube.quantities import parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("100m", "0.1"), ("64Mi", 64 * 1024**2), ("1e3", 1000), ("1E", 10**18), ("2k", 2000),
     ("1.5Gi", 3 * 1024**3 // 2), ("+5u", "0.000005"), (".5", "0.5"), ("5.", 5), ("-1", -1), ("0", 0),
     ("1e99", 2**63 - 1), ("99999999999Ei", 2**63 - 1), ("1e-999999999", "1e-9"), ("1e999999999", 2**63 - 1),
     ("-", 0), (".", 0), ("m", 0), ("+Ki", 0), ("0.1234567890123Gi", "132560717.8192501604352")],
)  # fmt: skip
def test_quantities_are_exact_and_within_what_the_server_holds(text: str, value: str | int) -> None:
    assert parsed(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", " ", "1 Gi", "1GiB", "1e", "1ee3", "NaN", "inf", "1_000", "٣", "0x1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        parsed(text)


@given(st.text(max_size=60))
def test_short_texts_of_any_kind_are_judged_without_a_slip(text: str) -> None:
    for rule in (names.dns_label, names.dns_subdomain, names.qualified_name, names.label_value, names.port_name,
                 names.config_key, names.path_segment, names.percent, names.environment_name):  # fmt: skip
        assert all(rule(text)) is True
    schedule_problem(text)
    network, address = addresses.network(text), addresses.address(text)
    assert network is None or str(network.length) == text.partition("/")[2]
    assert address is None or "/" not in text


@pytest.mark.parametrize(
    ("text", "found"),
    [("10.0.0.0/8", (4, 10 << 24, 8, True, True)), ("10.1.2.3/8", (4, 10 << 24, 8, False, False)),
     ("010.0.0.0/8", (4, 10 << 24, 8, True, False)), ("::/0", (6, 0, 0, True, True)),
     ("10.0.0.0", None), ("10.0.0.0/33", None),
     ("10.0.0.0/255.0.0.0", None), ("10.0.0.0/08", None), ("fe80::1%eth0/64", None), ("10.0.0/8", None)],
)  # fmt: skip
def test_networks(text: str, found: tuple[int, int, int, bool, bool] | None) -> None:
    assert addresses.network(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [("10.0.0.0/8", ""), ("10.1.2.3/8", "bits set"), ("010.0.0.0/8", "leading 0s"), ("10.0.0/8", "valid CIDR"),
     ("::ffff:10.0.0.0/104", "IPv4-mapped"), ("2001:db8::/64", ""), ("2001:db8::1/64", "bits set")],
)  # fmt: skip
def test_networks_are_written_in_one_way(text: str, said: str) -> None:
    messages = addresses.network_messages(addresses.network(text))
    assert [said in message for message in messages] == ([True] if said else [])


@pytest.mark.parametrize(
    ("text", "said"),
    [("10.0.0.1", ""), ("10.0.0.01", "leading 0s"), ("10.0.0.256", "valid IP"), ("::ffff:10.0.0.1", "IPv4-mapped"),
     ("2001:db8::1", ""), ("", "valid IP"), ("1.2.3", "valid IP")],
)  # fmt: skip
def test_addresses_are_written_in_one_way(text: str, said: str) -> None:
    messages = addresses.address_messages(text)
    assert [said in message for message in messages] == ([True] if said else [])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("text", "plain"),
    [("10.0.0.1", 4), ("10.0.0.01", 0), ("127.0.0.1", 0), ("169.254.1.1", 0), ("224.0.0.1", 0), ("0.0.0.0", 0),
     ("x", 0), ("2001:db8::1", 6), ("::1", 0), ("::", 0), ("fe80::1", 0), ("ff02::1", 0),
     ("::ffff:10.0.0.1", 0), ("", 0)],
)  # fmt: skip
def test_an_address_is_plain_when_nothing_at_all_is_wrong_with_it(
    text: str, plain: int, version: int
) -> None:
    assert addresses.is_plain(text, version) is (plain == version)
    if plain == version:
        assert not addresses.address_messages(text)
        assert not addresses.special_messages(text)


@pytest.mark.parametrize(
    ("outer", "inner", "holds"),
    [("10.0.0.0/8", "10.1.0.0/16", True), ("10.0.0.0/8", "10.0.0.0/8", False), ("10.0.0.0/8", "11.0.0.0/16", False),
     ("10.0.0.0/8", "::/16", False), ("2001:db8::/32", "2001:db8:1::/48", True)],
)  # fmt: skip
def test_a_network_within_another(outer: str, inner: str, holds: bool) -> None:
    one, other = addresses.network(outer), addresses.network(inner)
    assert one is not None
    assert other is not None
    assert one.holds(other) is holds
