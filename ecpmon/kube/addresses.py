"""IP addresses and networks: the server reads leading zeros and bits beyond the prefix, and still refuses them."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, inet_pton
from typing import Final, NamedTuple

from ecpmon.kube.names import Messages

_BITS: Final = {4: 32, 6: 128}
_LENGTHS: Final = {str(length): length for length in range(129)}
# By version and the length of the prefix: the bits after it, all set.
_BEYOND: Final = {
    version: [(1 << bits - length) - 1 for length in range(bits + 1)] for version, bits in _BITS.items()
}
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

# By version the first bytes that all of these begin with.
_DOUBTFUL: Final = {4: frozenset((0, 127, 169, 224)), 6: frozenset((0, 0xFE, 0xFF))}

# Version, number, and whether nothing is wrong with how the address is written.
_Read = tuple[int, int, bool]


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
        return _is_part(self, other.version, other.address, other.length)


def address(text: str) -> tuple[int, int] | None:
    """Version and number; None for what is no address."""
    found = _read(text)
    return None if found is None else found[:2]


def _read(text: str) -> _Read | None:
    if ":" in text:
        number = _v6(text)
        return None if number is None else (6, number, number >> 32 != _MAPPED)
    try:  # nearly all are written as everybody reads them
        return 4, int.from_bytes(inet_pton(AF_INET, text), "big"), True
    except (OSError, ValueError):
        number = _v4(text)
        return None if number is None else (4, number, False)


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
    return () if found[2] else _unusual(found[0])


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


def is_plain(text: str, version: int) -> bool:
    """Whether nothing is wrong with an address of that version, and something outside may be there. Of long lists each
    is asked only this: what is near a range in which nothing is reached counts as not plain."""
    found = _read(text)
    if found is None or found[0] != version or not found[2]:
        return False
    return found[1] >> _BITS[version] - 8 not in _DOUBTFUL[version]


def network(text: str) -> Network | None:
    """A network such as `10.0.0.0/8`; None for what is none."""
    before, _, digits = text.partition("/")
    length, found = _LENGTHS.get(digits), _read(before)
    if found is None or length is None or length > _BITS[found[0]]:
        return None
    version, number, usual = found
    masked = number & ~_BEYOND[version][length]
    return Network(version, masked, length, masked == number, usual and masked == number)


def is_network(text: str, whole: Network | None = None) -> bool:
    """Whether nothing is wrong with it, nor, where one is given, with its being a part of that `whole`. Of long lists
    each is asked only this, so it does at once what `network` does in steps."""
    before, _, digits = text.partition("/")
    length = _LENGTHS.get(digits)
    version, family = (6, AF_INET6) if ":" in before else (4, AF_INET)
    if length is None or length > _BITS[version]:
        return False
    try:
        number = int.from_bytes(inet_pton(family, before), "big")
    except (OSError, ValueError):
        return False
    if number & _BEYOND[version][length] or (version == 6 and number >> 32 == _MAPPED):
        return False
    return whole is None or _is_part(whole, version, number, length)


def _is_part(whole: Network, version: int, number: int, length: int) -> bool:
    if version != whole.version or length <= whole.length:
        return False
    return number & ~_BEYOND[version][whole.length] == whole.address


def _spanned(text: str) -> tuple[int, int, bool, int] | None:
    """An address as it is read, and the length of the prefix."""
    before, _, digits = text.partition("/")
    length = _LENGTHS.get(digits)
    found = None if length is None else _read(before)
    if found is None or length is None or length > _BITS[found[0]]:
        return None
    return *found, length


def _beyond(version: int, length: int) -> int:
    """The bits after a prefix, all set."""
    return (1 << _BITS[version] - length) - 1


def network_messages(found: Network | None) -> Messages:
    """What is wrong with a network that `network` has read."""
    if found is None:
        return (_NO_NETWORK,)
    if found.plain:
        return ()
    return _unusual(found.version) if found.exact else ("must not have bits set beyond the prefix length",)
