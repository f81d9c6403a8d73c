"""The state on disk: one JSON file, replaced atomically, and a lock that keeps a second process out."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from ecpmon.errors import PermanentError, TemporaryError
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import Micros

FORMAT = 2


class StateUnusable(PermanentError):
    """The state folder cannot be used; the message says what to do about it."""

    code = "STATE_UNUSABLE"
    status = 500


class StateNotSaved(TemporaryError):
    """The disk refused the snapshot, so the command was not accepted."""

    code = "STATE_NOT_SAVED"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state and the wall clock when it was current, both in microseconds since the epoch."""

    format: int
    wall: Micros
    state: ClusterState


_ADAPTER = TypeAdapter(Snapshot)


class SnapshotStore:
    """`state_dir/simulator.json`. Open it once per process; a second process gets StateUnusable."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / "simulator.json"
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
        os.close(self._lock)

    def load(self) -> Snapshot | None:
        """The last snapshot, or None for a new folder. StateUnusable when it cannot be read."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateUnusable(f"cannot read {self.path}: {error}") from error
        return _parse(data, self.path)

    def save(self, snapshot: Snapshot) -> None:
        """Replace the snapshot; it is on disk when this returns. StateNotSaved when the disk refuses."""
        temporary = self.path.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                file.write(orjson.dumps(snapshot))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise StateNotSaved(f"the simulator cannot save its state to {self.path}: {error}") from error


def _parse(data: bytes, path: Path) -> Snapshot:
    advice = f"move {path} away to start with an empty cluster"
    try:
        document: Any = orjson.loads(data)
        found = document.get("format")
        if found != FORMAT:
            raise StateUnusable(f"{path} has format {found}, this version reads {FORMAT}; {advice}")
        return _ADAPTER.validate_python(document)
    except (orjson.JSONDecodeError, AttributeError, ValidationError) as error:
        raise StateUnusable(f"{path} is damaged; {advice}") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
