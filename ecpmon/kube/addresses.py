"""IP addresses and networks: the server reads leading zeros and bits beyond the prefix, and still refuses them."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from ecpmon.kube.names import Messages

_BITS: Final = {4: 32, 6: 128}
_LONGEST: Final = 45
_NO_IP: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_NO_NETWORK: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_MAPPED: Final = 0xFFFF  # what is before an address of version 4 in one of version 6
# By version: how many bits are of no matter, what the others are, and why nothing is reached there.
_LOOPBACK: Final = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
_LINK: Final = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
_MULTICAST: Final = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
_SPECIAL: Final = {
    4: ((24, 127, _LOOPBACK), (16, 0xA9FE, _LINK), (8, 0xE00000, _MULTICAST)),
    6: ((0, 1, _LOOPBACK), (118, 0x3FA, _LINK), *((112, 0xFF02 + 16 * n, _MULTICAST) for n in range(16))),
}


class Network(NamedTuple):
    """`address` without its bits beyond the prefix's `length`; `exact`: it had none; `plain`: nothing is wrong with
    how it is written."""

    version: int
    address: int
    length: int
    exact: bool = True
    plain: bool = True

    def holds(self, other: Network) -> bool:
        """Whether `other` is a part of it, and not the whole."""
        beyond = _BITS[self.version] - self.length
        return (
            other.version == self.version
            and other.length > self.length
            and other.address >> beyond == self.address >> beyond
        )


class _Read(NamedTuple):
    """`usual`: nothing is wrong with how it is written."""

    version: int
    number: int
    usual: bool


def address(text: str) -> tuple[int, int] | None:
    """Version and number; None for what is no address."""
    found = _read(text)
    return None if found is None else found[:2]


def _read(text: str) -> _Read | None:
    if ":" in text:
        number = _v6(text)
        return None if number is None else _Read(6, number, number >> 32 != _MAPPED)
    try:  # nearly all are written as everybody reads them
        return _Read(4, int.from_bytes(inet_pton(AF_INET, text), "big"), True)
    except (OSError, ValueError):
        number = _v4(text)
        return None if number is None else _Read(4, number, False)


def _v4(text: str) -> int | None:
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
    return number


def _v6(text: str) -> int | None:
    if "%" in text or len(text) > _LONGEST:
        return None
    try:
        return int.from_bytes(inet_pton(AF_INET6, text), "big")
    except (OSError, ValueError):
        return None


def address_messages(text: str) -> Messages:
    """What is wrong with an address."""
    found = _read(text)
    if found is None:
        return (_NO_IP,)
    return () if found.usual else _unusual(found.version)


def _unusual(version: int) -> Messages:
    return ("must not have leading 0s",) if version == 4 else ("must not be an IPv4-mapped IPv6 address",)


def special_messages(text: str) -> Messages:
    """Why nothing outside can be reached at an address; of what is none nothing is said."""
    found = address(text)
    if found is None:
        return ()
    version, number = found
    if version == 6 and number >> 32 == _MAPPED:
        version, number = 4, number & 0xFFFFFFFF
    if number == 0:
        return (f"may not be unspecified ({text})",)
    return tuple(said for beyond, kept, said in _SPECIAL[version] if number >> beyond == kept)


def network(text: str) -> Network | None:
    """A network such as `10.0.0.0/8`; None for what is none."""
    before, _, digits = text.partition("/")
    found = _read(before)
    if found is None or not (digits.isascii() and digits.isdigit() and len(digits) <= 3):
        return None
    version, number, usual = found
    length, bits = int(digits), _BITS[version]
    if length > bits or (digits[0] == "0" and digits != "0"):
        return None
    masked = number >> bits - length << bits - length
    return Network(version, masked, length, masked == number, usual and masked == number)


def network_messages(found: Network | None) -> Messages:
    """What is wrong with a network that `network` has read."""
    if found is None:
        return (_NO_NETWORK,)
    if found.plain:
        return ()
    return _unusual(found.version) if found.exact else ("must not have bits set beyond the prefix length",)
