"""Where somebody is says who is connected, or a proxy that the settings name, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pydantic import ValidationError
from socket_world import World, api_of

from ecpmon.api.addresses import Proxies
from ecpmon.api.limits import BAD_TOKEN_BURST
from ecpmon.settings import Settings


def found(proxies: str, remote: str, *forwarded: str) -> str | None:
    headers = CIMultiDict([("X-Forwarded-For", text) for text in forwarded])
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    return Proxies(proxies).address_of(request)


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "address"),
    [
        # Nobody is believed.
        ("", "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        # A proxy is, and what was written before it is not.
        ("10.0.0.0/8", "10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.1", ["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.1", ["127.0.0.1", "198.51.100.7"], "198.51.100.7"),
        # Through several of ours.
        ("10.0.0.0/8, 172.16.0.9", "10.0.0.1", ["203.0.113.5, 198.51.100.7, 172.16.0.9"], "198.51.100.7"),
        # Everybody on the way is one of ours: the first of them.
        ("10.0.0.0/8", "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.0/8", "10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", [""], "10.0.0.1"),
        # What is no address ends it.
        ("10.0.0.0/8", "10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ["<script>, 10.0.0.2"], "10.0.0.2"),
        # Ports, brackets, zones, and IPv4 in IPv6.
        ("10.0.0.0/8", "10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("::1", "::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::1", "::1", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fe80::/10", "fe80::1%eth0", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.0/8", "10.0.0.1", [", ".join(["10.0.0.2"] * 5_000)], "10.0.0.2"),
    ],
)  # fmt: skip
def test_the_last_on_the_way_that_is_no_proxy_of_ours(
    proxies: str, remote: str, forwarded: list[str], address: str
) -> None:
    assert found(proxies, remote, *forwarded) == address


async def test_guesses_are_counted_where_they_come_from(world: World, aiohttp_client: Any) -> None:
    client = await aiohttp_client(api_of(world, trusted_proxies="127.0.0.0/8"))

    async def guess(forwarded: str) -> int:
        headers = {"Authorization": "Bearer nobody's", "X-Forwarded-For": forwarded}
        return int((await client.get("/api/v1/tenants/", headers=headers)).status)

    for number in range(int(BAD_TOKEN_BURST)):
        assert await guess(f"203.0.113.{number}, 192.0.2.1") == 401
    assert await guess("192.0.2.1") == 429
    assert await guess("192.0.2.2") == 401


@pytest.mark.parametrize("given", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.1;10.0.0.2"])
def test_what_is_no_network_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=given)
