"""Regular expressions over labels, as PromQL has them: RE2, anchored, a dot is any character. Pure.

Whoever writes one is not trusted: RE2 takes time in proportion to what it reads, and what a pattern may need to be
compiled is bounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

MAX_PATTERN: Final = 500
# Bytes that a compiled pattern may take, and how many are kept: tenants write them.
_MOST: Final = 1 << 16
_KEPT: Final = 2_000
# Texts of labels, with the pattern that they were compared with: the same series are looked at again and again.
_KNOWN: Final = 20_000
# RE2 in C++ knows it, PromQL's does not: a single byte of a character.
_BYTE: Final = r"\C"


class PatternError(ValueError):
    """What is wrong with a pattern."""


@lru_cache(maxsize=_KEPT)
def compiled(pattern: str) -> Any:
    """The compiled pattern; `fullmatch` is what PromQL does with it. Raises PatternError."""
    # Imported by whoever has one: most do not.
    import re2

    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"is longer than {MAX_PATTERN} characters")
    if _BYTE in pattern.replace("\\\\", ""):
        raise PatternError(f"{_BYTE} is not known")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST
    options.dot_nl = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0] if error.args else "is none"
        told = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        raise PatternError(f"is no regular expression of RE2: {told[:100]}") from error
    except UnicodeEncodeError as error:
        raise PatternError("is no text") from error


@lru_cache(maxsize=_KNOWN)
def fits(pattern: str, text: str) -> bool:
    """Whether all of the text is what the pattern says."""
    return compiled(pattern).fullmatch(text) is not None
