"""The state on disk: a snapshot that is replaced atomically, a journal of what has changed since, and a lock.

A command appends its change to the journal, so that it costs what it changes and not what is stored. The journal
names the snapshot that it follows: after a crash between a new snapshot and its journal the old journal counts
for nothing.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
from pydantic import TypeAdapter, ValidationError

from ecpmon.errors import PermanentError, TemporaryError
from ecpmon.simulator import journal
from ecpmon.simulator.journal_file import JournalDamaged, JournalFile, read_journal, sync_folder
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import Micros

FORMAT: Final = 4
_JOURNALLED: Final = (3, FORMAT)  # 3 had no storage classes
_READABLE: Final = (2, *_JOURNALLED)  # 2 had no journal
# Bytes of journal beyond which the next change is written as a new snapshot.
MAX_JOURNAL: Final = 32 * 1024**2


class StateUnusable(PermanentError):
    """The state folder cannot be used; the message says what to do about it."""

    code = "STATE_UNUSABLE"
    status = 500


class StateNotSaved(TemporaryError):
    """The disk refused the change, so the command was not accepted."""

    code = "STATE_NOT_SAVED"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state and the wall clock when it was current, both in microseconds since the epoch.

    A journal names the `id` of the snapshot that it follows.
    """

    format: int
    wall: Micros
    state: ClusterState
    id: str = ""


_ADAPTER = TypeAdapter(Snapshot)


class SnapshotStore:
    """`state_dir/simulator.json` and `.journal`. Open it once per process; a second one gets StateUnusable."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "simulator.json"
        self.journal_path = state_dir / "simulator.journal"
        # Saves come from threads; one after the other.
        self._saving = threading.Lock()
        # What the files hold; None until this process has written a snapshot, and after the disk refused.
        self._saved: ClusterState | None = None
        self._base = ""
        self._journal: JournalFile | None = None
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(state_dir / "simulator.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise StateUnusable(f"cannot use the state folder {state_dir}: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            message = f"another simulator uses {state_dir}; stop it or choose another --state-dir"
            raise StateUnusable(message) from error

    def close(self) -> None:
        """Let another process use the folder."""
        with self._saving:
            self._forget()
            os.close(self._lock)

    def load(self) -> Snapshot | None:
        """What was saved last, or None for a new folder. StateUnusable when it cannot be read."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnusable(f"cannot read {self.path}: {error}") from error
        return _parse(data, self.path, self.journal_path)

    def save(self, wall: Micros, state: ClusterState, *, max_journal: int = MAX_JOURNAL) -> None:
        """Have `state` on disk when this returns; StateNotSaved when the disk refuses.

        Writes what has changed since the last save, or all of it as a new snapshot: the first time, after
        the disk refused, and when the journal has more than `max_journal` bytes.
        """
        with self._saving:
            if self._saved is None or (self._journal is not None and self._journal.size > max_journal):
                self._replace(wall, state)
            elif state is not self._saved:
                self._append(wall, state, self._saved)

    def save_whole(self, wall: Micros, state: ClusterState) -> None:
        """Write a new snapshot; StateNotSaved when the disk refuses."""
        with self._saving:
            self._replace(wall, state)

    def _append(self, wall: Micros, state: ClusterState, before: ClusterState) -> None:
        line = {"wall": wall, "change": journal.changes(before, state)}
        try:
            if self._journal is None:
                self._journal = JournalFile(self.journal_path, self._base)
            self._journal.append(line)
        except OSError as error:
            self._forget()
            raise StateNotSaved(f"cannot save to {self.journal_path}: {error}") from error
        self._saved = state

    def _replace(self, wall: Micros, state: ClusterState) -> None:
        base = uuid4().hex
        data = orjson.dumps(Snapshot(FORMAT, wall, state, base))
        temporary = self.path.with_suffix(".tmp")
        # Whatever fails from here on: what lies in the folder can be read, but we no longer know what it is.
        self._forget()
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            raise StateNotSaved(f"the simulator cannot save its state to {self.path}: {error}") from error
        self._saved, self._base = state, base

    def _forget(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._saved = self._journal = None


def _parse(data: bytes, path: Path, journal_path: Path | None = None) -> Snapshot:
    """The state of a snapshot's bytes, moved on by the journal that follows it."""
    advice = f"move {path} away to start with an empty cluster"
    try:
        document: Any = orjson.loads(data)
        found = document.get("format")
        if found not in _READABLE:
            raise StateUnusable(f"{path} has format {found}, this version reads {FORMAT}; {advice}")
        if journal_path is not None and found in _JOURNALLED:
            _follow(document, journal_path, advice)
        return _ADAPTER.validate_python(document)
    except (orjson.JSONDecodeError, AttributeError, ValidationError) as error:
        raise StateUnusable(f"{path} is damaged; {advice}") from error


def _follow(document: dict[str, Any], path: Path, advice: str) -> None:
    """Apply the journal at `path` to the snapshot in `document`."""
    try:
        for line in read_journal(path, document["id"]):
            journal.apply(document["state"], line["change"])
            document["wall"] = line["wall"]
    except OSError as error:
        raise StateUnusable(f"cannot read {path}: {error}") from error
    except (JournalDamaged, KeyError, IndexError, TypeError, ValueError) as error:
        raise StateUnusable(f"{path} is damaged; {advice}") from error
