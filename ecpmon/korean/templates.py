"""Texts in Korean: of each text that is written in English where it arises, the same sentence, by its template.

`texts.json` has a template a line: `{}` stands for what is filled in, in English; `{0}`, `{1}` for the same in Korean,
in any order. `tests/unit/api/test_korean.py` finds every template in the code and says which has no sentence.

Invariant: what is said does not get lost. A text that nobody has put into Korean stays as it is.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final

from ecpmon.wire import encodable

# Texts within texts: the reason in a refusal, its list of fields, one of them, what is wrong with it, a part of that.
_DEPTH: Final = 6
_HOLE: Final = "{}"
_FIELDS: Final = re.compile(r"; (?=[^\s:;]{1,200}: |and \d+ more$)")
_PREFIX: Final = re.compile(r"([^\s:]{1,200}): (.+)", re.DOTALL)


@dataclass(frozen=True)
class _Template:
    """`said`: in Korean. Matched by RE2: what is filled in may be anybody's."""

    text: str
    said: str

    @cached_property
    def pattern(self) -> Any:
        import re2

        options = re2.Options()
        options.dot_nl = True
        return re2.compile("(.*?)".join(map(re2.escape, self.text.split(_HOLE))), options)

    @cached_property
    def _pieces(self) -> tuple[str, ...]:
        return tuple(filter(None, self.text.split(_HOLE)))

    def filled(self, text: str, depth: int) -> str | None:
        # Nearly none fits, and looking for its words takes a hundredth of what matching does.
        if not all(piece in text for piece in self._pieces):
            return None
        match = self.pattern.fullmatch(text)
        if match is None:
            return None
        parts = [_said(part, depth - 1) or part for part in match.groups()]
        return re.sub(r"\{(\d)\}", lambda hole: parts[int(hole[1])], self.said)


def translated(text: str) -> str:
    """The same in Korean as far as there is any."""
    text = encodable(text)  # RE2 reads nothing else
    return _said(text, _DEPTH) or text


def _said(text: str, depth: int) -> str | None:
    """None: nothing of it is known."""
    if depth == 0 or not text:
        return None
    exact = _exact().get(text)
    return (
        exact
        or _by_field(text, depth)
        or _of_field(text, depth)
        or _by_template(text, depth)
        or _in_parts(text, depth)
    )


def _by_template(text: str, depth: int) -> str | None:
    found = (template.filled(text, depth) for template in _candidates(text))
    return next((said for said in found if said is not None), None)


def _by_field(text: str, depth: int) -> str | None:
    """Of `a: b; c: d` each, which may itself have parts: a semicolon before no field is one within a sentence."""
    parts = _FIELDS.split(text)
    return _each(parts, depth) if len(parts) > 1 else None


def _of_field(text: str, depth: int) -> str | None:
    """Of `a: b` what is wrong with the field `a`, so that no template takes the field for a part of its own."""
    match = _PREFIX.fullmatch(text)
    inner = _said(match[2], depth - 1) if match else None
    return f"{match[1]}: {inner}" if match and inner else None


def _in_parts(text: str, depth: int) -> str | None:
    """Of `a; b` each."""
    parts = text.split("; ")
    return _each(parts, depth) if len(parts) > 1 else None


def _each(parts: list[str], depth: int) -> str | None:
    said = [_said(part, depth - 1) for part in parts]
    return "; ".join(new or old for new, old in zip(said, parts, strict=True)) if any(said) else None


def _candidates(text: str) -> Iterator[_Template]:
    """Those that may fit, the most particular first."""
    by_word = _templates()
    yield from by_word[_first_word(text)]
    yield from by_word[_HOLE]


def _first_word(text: str) -> str:
    return text.split(" ", 1)[0]


@cache
def _all() -> dict[str, str]:
    """Template by template, as the file has them."""
    found: dict[str, str] = json.loads((files("ecpmon.korean") / "texts.json").read_text("utf-8"))
    return found


@cache
def _exact() -> dict[str, str]:
    return {text: said for text, said in _all().items() if _HOLE not in text}


@cache
def _templates() -> defaultdict[str, list[_Template]]:
    """By the first word, if nothing is filled in there."""
    found: defaultdict[str, list[_Template]] = defaultdict(list)
    for text, said in _all().items():
        if _HOLE in text:
            word = _first_word(text)
            found[_HOLE if _HOLE in word else word].append(_Template(text, said))
    for some in found.values():
        some.sort(key=lambda template: len(template.text.replace(_HOLE, "")), reverse=True)
    return found
