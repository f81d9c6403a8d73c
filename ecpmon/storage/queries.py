"""Named SQL: `sql/queries/<file>.sql` holds statements, each after a line `-- name: <name>`.

What several of them say alike is said once, after a line `-- part: <name>`, and put in where a statement or another
part has `{name}`, or `{name place=word}`, which fills each `{place}` in it; a word may be the name of a part itself.
Parts of `shared.sql` are there for every file. Nothing but what stands in these files is ever put in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from ecpmon.resources import data_dir

_HEAD: Final = re.compile(r"^-- (name|part): ([a-z0-9_]+)\s*$", re.MULTILINE)
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)((?: [a-z_]+=[a-z0-9_.$:]+)*)\}")
SHARED: Final = "shared"


@cache
def load(file: str) -> dict[str, str]:
    """The statements of one file by name. Raises ValueError for what `assembled` refuses."""
    return assembled(_text(file), _text(SHARED), where=f"sql/queries/{file}.sql")


def files() -> list[str]:
    """What `load` takes."""
    return sorted(path.stem for path in (data_dir("sql") / "queries").glob("*.sql") if path.stem != SHARED)


@cache
def _text(file: str) -> str:
    return (data_dir("sql") / "queries" / f"{file}.sql").read_text(encoding="utf-8")


def assembled(text: str, shared: str = "", *, where: str = "") -> dict[str, str]:
    """The statements of `text` by name, with parts of it and of `shared` put in.

    Raises ValueError for a name given twice, a place that nothing fills, a word without a place, a part that holds
    itself, and one of `text` that nobody uses.
    """
    own, other = _named(text, where), _named(shared, where) if text != shared else {}
    parts = {name: body for (kind, name), body in {**other, **own}.items() if kind == "part"}
    assembly = _Assembly(parts, where)
    made = {name: assembly.filled(body, {}, ()) for (kind, name), body in own.items() if kind == "name"}
    unused = {name for kind, name in own if kind == "part"} - assembly.used
    if unused and text != shared:
        raise ValueError(f"{where}: nobody uses {', '.join(sorted(unused))}")
    return made


@cache
def _named(text: str, where: str) -> dict[tuple[str, str], str]:
    """(kind, name) -> text."""
    pieces = _HEAD.split(text)
    found = {
        (kind, name): body.strip()
        for kind, name, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True)
    }
    if len(found) * 3 + 1 != len(pieces):
        raise ValueError(f"{where} names a statement or a part twice")
    return found


class _Assembly:
    """`used`: the parts that were put in somewhere."""

    def __init__(self, parts: Mapping[str, str], where: str) -> None:
        self._parts = parts
        self._where = where
        self._places: set[str] = set()
        self.used: set[str] = set()

    def filled(self, text: str, words: Mapping[str, str], inside: tuple[str, ...]) -> str:
        """`text` with its places filled: by `words`, by parts. `inside`: the parts that it stands in."""

        def fill(place: re.Match[str]) -> str:
            what, given = place[1], dict(pair.split("=", 1) for pair in place[2].split())
            self._places.add(what)
            word = words.get(what, what)
            if word not in self._parts:
                if what in words:
                    return word
                raise ValueError(f"{self._where}: nothing fills {{{what}}}")
            if word in inside:
                raise ValueError(f"{self._where}: {word} holds itself")
            self.used.add(word)
            made = self.filled(self._parts[word], {**words, **given}, (*inside, word))
            if without := given.keys() - self._places:
                raise ValueError(f"{self._where}: {word} has no place for {', '.join(sorted(without))}")
            return made

        return _PLACE.sub(fill, text)
