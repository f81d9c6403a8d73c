"""Deterministic identity and noise: everything random in the model is a hash of the seed and a name."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

_MASK = (1 << 64) - 1
# What Kubernetes uses for generated names: no vowels, so no accidental words.
_NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def digest(*parts: object) -> int:
    """A 64-bit hash of `parts`, the same on every machine and run."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def unit(*parts: object) -> float:
    """A number in [0, 1) from `parts`."""
    return (digest(*parts) >> 11) / (1 << 53)


def uid(*parts: object) -> str:
    """A version 4 shaped UUID from `parts`."""
    text = "\x1f".join(map(str, parts)).encode()
    return str(UUID(bytes=blake2b(text, digest_size=16).digest(), version=4))


def name_suffix(length: int, *parts: object) -> str:
    """`length` characters as Kubernetes appends to generated names."""
    value = digest(*parts)
    letters = []
    for _ in range(length):
        value, index = divmod(value, len(_NAME_ALPHABET))
        letters.append(_NAME_ALPHABET[index])
    return "".join(letters)


def mix(value: int) -> int:
    """splitmix64's finaliser: a cheap 64-bit hash of one integer, for noise in inner loops."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
