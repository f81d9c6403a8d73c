"""What a process is for (ADR 0010)."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A front answers and takes pushes, a worker works; one process may be all."""

    ALL = "all"
    FRONT = "front"
    WORKER = "worker"

    @property
    def answers(self) -> bool:
        return self is not Role.WORKER

    @property
    def works(self) -> bool:
        return self is not Role.FRONT
