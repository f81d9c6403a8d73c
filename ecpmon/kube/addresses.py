"""IP addresses and networks: the server reads leading zeros and bits beyond the prefix, and still refuses them."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from socket import AF_INET, inet_pton
from typing import Final, NamedTuple

from ecpmon.kube.names import Messages

_BITS: Final = {4: 32, 6: 128}
_LINK_MULTICAST: Final = (ip_network("224.0.0.0/24"), ip_network("ff02::/16"))
_LONGEST: Final = 45
_LEADING_ZERO: Final = re.compile(r"(?:^|\.)0[0-9]")
_NO_IP: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NO_NETWORK: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


class Network(NamedTuple):
    """`address` without its bits beyond the prefix's `length`; `exact`: it had none."""

    version: int
    address: int
    length: int
    exact: bool = True

    def holds(self, other: Network) -> bool:
        """Whether `other` is a part of it, and not the whole."""
        beyond = _BITS[self.version] - self.length
        return (
            other.version == self.version
            and other.length > self.length
            and other.address >> beyond == self.address >> beyond
        )


def address(text: str) -> tuple[int, int] | None:
    """Version and number; None for what is no address."""
    if ":" in text:
        return _v6(text)
    try:  # nearly all are written as everybody reads them
        return 4, int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):
        return _v4(text)


def _v4(text: str) -> tuple[int, int] | None:
    """With leading zeros as well, which are decimal."""
    parts = text.split(".")
    if len(parts) != 4 or len(text) > _LONGEST:
        return None
    number = 0
    for part in parts:
        if not (part.isascii() and part.isdigit()):
            return None
        byte = int(part)
        if byte > 255:
            return None
        number = number << 8 | byte
    return 4, number


def _v6(text: str) -> tuple[int, int] | None:
    if "%" in text or len(text) > _LONGEST:
        return None
    try:
        return 6, int(IPv6Address(text))
    except ValueError:
        return None


def address_messages(text: str) -> Messages:
    """What is wrong with an address."""
    found = address(text)
    return (_NO_IP,) if found is None else _unusual(text, found)


def _unusual(text: str, found: tuple[int, int]) -> Messages:
    version, number = found
    if version == 4:
        return ("must not have leading 0s",) if _LEADING_ZERO.search(text) else ()
    return ("must not be an IPv4-mapped IPv6 address",) if number >> 32 == 0xFFFF else ()


def special_messages(text: str) -> Messages:
    """Why nothing outside can be reached at an address."""
    try:
        found = ip_address(text)
    except ValueError:
        return ()
    if found.is_unspecified:
        return (f"may not be unspecified ({found})",)
    if found.is_loopback:
        return ("may not be in the loopback range (127.0.0.0/8, ::1/128)",)
    if found.is_link_local:
        return ("may not be in the link-local range (169.254.0.0/16, fe80::/10)",)
    if any(found in block for block in _LINK_MULTICAST if block.version == found.version):
        return ("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",)
    return ()


@lru_cache(maxsize=16)  # what is wrong with it, and what it is, are asked one after the other
def network(text: str) -> Network | None:
    """A network such as `10.0.0.0/8`; None for what is none."""
    before, _, digits = text.partition("/")
    found = address(before)
    if found is None or not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        return None
    version, number = found
    length = int(digits)
    if length > _BITS[version] or (len(digits) > 1 and digits[0] == "0"):
        return None
    beyond = _BITS[version] - length
    masked = number >> beyond << beyond
    return Network(version, masked, length, masked == number)


def network_messages(text: str) -> Messages:
    """What is wrong with a network."""
    found = network(text)
    if found is None:
        return (_NO_NETWORK,)
    if not found.exact:
        return ("must not have bits set beyond the prefix length",)
    return _unusual(text.partition("/")[0], (found.version, found.address))
