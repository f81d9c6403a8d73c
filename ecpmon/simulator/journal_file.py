"""The journal on disk: one JSON document per line, each with a checksum of everything up to it."""

from __future__ import annotations

import logging
import os
import zlib
from pathlib import Path
from typing import Any, Final

import orjson

log = logging.getLogger("ecpmon.simulator")

Document = dict[str, Any]
_DIGITS: Final = 8  # of a checksum


class JournalDamaged(ValueError):
    """A line that was written whole is not what was written."""


class JournalFile:
    """A new journal that follows the snapshot `base`; a journal that lay at `path` is gone.

    `size` is in bytes. Every method raises OSError when the disk refuses.
    """

    def __init__(self, path: Path, base: str) -> None:
        self.size = 0
        self._checksum = 0
        self._handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            self.append({"base": base})
            sync_folder(path.parent)
        except BaseException:
            os.close(self._handle)
            raise

    def append(self, document: Document) -> None:
        """Add a line; it is on disk when this returns. After an OSError the journal must not be used again."""
        line, checksum = _encode(document, self._checksum)
        try:
            _write(self._handle, line)
            os.fsync(self._handle)
        except OSError:
            self._withdraw()
            raise
        self.size += len(line)
        self._checksum = checksum

    def close(self) -> None:
        os.close(self._handle)

    def _withdraw(self) -> None:
        """What was not accepted shall not come back with a restart, even if it was written whole."""
        try:
            os.ftruncate(self._handle, self.size)
            os.fsync(self._handle)
        except OSError as error:
            log.warning("a refused command may be in the journal: %s", error)


def read_journal(path: Path, base: str) -> list[Document]:
    """The documents appended after the snapshot `base`; none when the journal follows another snapshot.

    A last line without its end was never acknowledged and is dropped. Raises JournalDamaged or OSError.
    """
    try:
        *lines, torn = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    checksum = 0
    documents = []
    for line in lines:
        document, checksum = _decode(line, checksum)
        documents.append(document)
        if documents[0].get("base") != base:
            log.info("%s belongs to an older snapshot", path)
            return []
    if torn:
        log.warning("%s ends in the middle of a line: a command that was never acknowledged", path)
    return documents[1:]


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _encode(document: Document, before: int) -> tuple[bytes, int]:
    text = orjson.dumps(document)
    checksum = zlib.crc32(text, before)
    return b"%08x %b\n" % (checksum, text), checksum


def _decode(line: bytes, before: int) -> tuple[Document, int]:
    text = line[_DIGITS + 1 :]
    checksum = zlib.crc32(text, before)
    if line[: _DIGITS + 1] != b"%08x " % checksum:
        raise JournalDamaged("a line of the journal is damaged")
    document: Document = orjson.loads(text)
    return document, checksum


def _write(handle: int, data: bytes) -> None:
    # A disk that gets full takes a part first and refuses the rest then.
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
