"""Tokens of the condition grammar, and its one error. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ecpmon.alerts.syntax import KEYWORDS
from ecpmon.errors import ValidationFailed

MAX_LENGTH: Final = 512


class ConditionError(ValidationFailed):
    """A condition that cannot be saved. `position` is the column, counted from 1."""

    def __init__(self, position: int, message: str) -> None:
        text = f"column {position}: {message}"
        super().__init__(f"condition, {text}", fields=[{"field": "condition", "message": text}])
        self.position = position
        self.details["position"] = position


class TokenKind(StrEnum):
    NUMBER = "number"
    DURATION = "duration"
    NAME = "name"
    QUOTED = "quoted"
    KEYWORD = "keyword"
    COMPARE = "compare"
    PUNCTUATION = "punctuation"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is the name itself for quoted names, lower case for keywords; `position` counts from 1."""

    kind: TokenKind
    text: str
    position: int

    def __str__(self) -> str:
        return "the end of the condition" if self.kind is TokenKind.END else repr(self.text)


_PATTERNS: Final = re.compile(
    r"""
      (?P<space>[ \t\r\n]+)
    | (?P<number>[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![A-Za-z0-9_.]))
    | (?P<duration>[0-9]+[A-Za-z]+(?![A-Za-z0-9_.]))
    | (?P<name>[A-Za-z_][A-Za-z0-9_:.]*)
    | "(?P<quoted>[^"\x00-\x1f]{1,200})"
    | (?P<compare>>=|<=|==|!=|>|<)
    | (?P<punctuation>[(),])
    """,
    re.VERBOSE,
)
_HINTS: Final = {
    "=": "compare with == instead of =",
    "&": "write 'and' instead of &&",
    "|": "write 'or' instead of ||",
    "!": "write 'not' instead of !",
    "%": "write percentages as plain numbers, without %",
    '"': "this quoted name is empty, too long or not closed",
}


def tokenise(text: str) -> list[Token]:
    """The tokens of `text`, closed by one of kind END. Raises ConditionError."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(MAX_LENGTH + 1, f"a condition has at most {MAX_LENGTH} characters")
    return [*_tokens(text), Token(TokenKind.END, "", len(text) + 1)]


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _PATTERNS.match(text, position)
        if match is None:
            raise ConditionError(position + 1, _complaint(text, position))
        if match.lastgroup != "space":
            yield _token(match)
        position = match.end()


def _token(match: re.Match[str]) -> Token:
    kind, text = TokenKind(str(match.lastgroup)), match[str(match.lastgroup)]
    if kind is TokenKind.NAME and text.lower() in KEYWORDS:
        kind, text = TokenKind.KEYWORD, text.lower()
    return Token(kind, text, match.start() + 1)


def _complaint(text: str, position: int) -> str:
    character = text[position]
    if character in _HINTS:
        return _HINTS[character]
    if word := re.match(r"[-+.0-9][-+\w.]*", text[position:]):
        return f"{word[0]!r} is neither a number nor a duration"
    return f"unexpected character {character!r}"
