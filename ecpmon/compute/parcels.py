"""Calls and their outcomes as bytes."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from ecpmon.errors import EcpError

T = TypeVar("T")


def packed(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    """A call. Raises what pickle raises when the function is not of a module, or an argument does not pickle."""
    return pickle.dumps((function, args, kwargs), pickle.HIGHEST_PROTOCOL)


def answered(call: bytes | bytearray) -> bytes:
    """The outcome of a packed call; it does not raise."""
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301 - packed by our own parent
        return pickle.dumps((True, function(*args, **kwargs)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - whoever called is told
        return _failed(error)


def opened(answer: bytes | bytearray) -> Any:
    """What the function returned; raises what it raised."""
    succeeded, outcome = pickle.loads(answer)  # noqa: S301 - packed by our own child
    if succeeded:
        return outcome
    raise outcome


class Failed(Exception):
    """What was raised cannot be handed over; this tells of it."""


def _failed(error: Exception) -> bytes:
    told = "".join(traceback.format_exception(error))
    try:
        raised = _Error(error) if isinstance(error, EcpError) else _with_trace(error, told)
        answer = pickle.dumps((False, raised), pickle.HIGHEST_PROTOCOL)
        # Some pickle and cannot be made again.
        pickle.loads(answer)  # noqa: S301 - ours
    except Exception:  # noqa: BLE001 - whatever there is in it
        answer = pickle.dumps((False, Failed(told)), pickle.HIGHEST_PROTOCOL)
    return answer


def _with_trace(error: Exception, told: str) -> Exception:
    error.add_note(f"in a process that computes:\n{told}")
    return error


class _Error:
    """An error of ours on its way: it is made without its `__init__`, which may take other arguments."""

    def __init__(self, error: EcpError) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self._error), self._error.args, self._error.__dict__)


def _made(kind: type[EcpError], args: tuple[Any, ...], state: dict[str, Any]) -> EcpError:
    made = kind.__new__(kind, *args)
    made.args = args
    made.__dict__.update(state)
    return made


class Sealed(Generic[T]):
    """A value that whoever hands it on does not look at: it crosses over as bytes, and is made again by `open`."""

    __slots__ = ("_bytes", "_value")

    def __init__(self, value: T) -> None:
        self._value: list[T] = [value]
        self._bytes: bytes | None = None

    def open(self) -> T:
        if not self._value:
            self._value.append(pickle.loads(self._bytes or b""))  # noqa: S301 - sealed by us
        return self._value[0]

    def __reduce__(self) -> tuple[Any, ...]:
        if self._bytes is None:
            self._bytes = pickle.dumps(self._value[0], pickle.HIGHEST_PROTOCOL)
        return _sealed, (self._bytes,)


def _sealed(content: bytes) -> Sealed[Any]:
    made: Sealed[Any] = Sealed.__new__(Sealed)
    made._value, made._bytes = [], content
    return made
