"""The border where asyncpg's exceptions become ours."""

from __future__ import annotations

from contextlib import AbstractContextManager

import asyncpg

from ecpmon.errors import (
    Conflict,
    DatabaseUnavailable,
    EcpError,
    NoLongerLeader,
    PermanentError,
    ValidationFailed,
)
from ecpmon.storage.writability import refusal_of

_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What a connection says whose server died in the middle of something else.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    # We stood still in the middle of a transaction, and the server ended it.
    asyncpg.exceptions.IdleInTransactionSessionTimeoutError,
)
# Of `check_leadership`; of `go_on_steadily` and `move_at_once`.
_TERM_OVER = "EC001"
_NOT_AS_REMEMBERED = "EC002"


class NotAsRemembered(PermanentError):
    """A statement found something else than what it was made for; nothing of it was stored (`steady`, `moving`).

    `culprits`: the numbers of the tenants that are not as remembered; empty: it is the time."""

    culprits: frozenset[int] = frozenset()


class DatabaseRefused(PermanentError):
    """The database refused a statement: a broken invariant or a bug, never a passing fault."""

    code = "DATABASE_ERROR"
    status = 500


# What is raised while a value becomes Python's or the database's: a year beyond 9999, a number beyond 64 bits, JSON
# that no parser takes. asyncpg lets it through as it is.
_NOT_CONVERTED = (ArithmeticError, TypeError, ValueError)


class _Border:
    """`wrap_errors`. A class, as this is around every statement."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing to be done."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        match error:
            case None | EcpError():
                return
            case asyncpg.PostgresError():
                raise _ours(error) from error
            case _ if isinstance(error, _AWAY):
                raise DatabaseUnavailable("the database does not answer; try again shortly") from error
            case _ if isinstance(error, _NOT_CONVERTED):
                text = f"a value cannot be read or stored: {type(error).__name__}: {error}"
                raise DatabaseRefused(text) from error


_BORDER = _Border()


def wrap_errors() -> AbstractContextManager[None]:
    """asyncpg's exceptions stop here: away -> DatabaseUnavailable, no space -> DatabaseNotWritable, duplicates ->
    Conflict, else DatabaseRefused.

    So do those of converting values, which are none of asyncpg's. Text that the database cannot hold (NUL) is the
    caller's fault: ValidationFailed.
    """
    return _BORDER


def _ours(error: asyncpg.PostgresError) -> EcpError:
    if (refusal := refusal_of(error)) is not None:
        return refusal
    match error:
        case _ if error.sqlstate == _TERM_OVER:
            return NoLongerLeader(f"this process does not lead any more: {error}")
        case _ if error.sqlstate == _NOT_AS_REMEMBERED:
            found = NotAsRemembered(str(error))
            found.culprits = frozenset(map(int, (error.detail or "").split()))
            return found
        case asyncpg.UniqueViolationError():
            return Conflict("this exists already", details={"constraint": error.constraint_name})
        case _ if isinstance(error, _AWAY):
            return DatabaseUnavailable("the database does not answer; try again shortly")
        case asyncpg.CharacterNotInRepertoireError() | asyncpg.UntranslatableCharacterError():
            return ValidationFailed("a text holds a character that cannot be stored, such as NUL")
        case _ if isinstance(error.__cause__, UnicodeError):
            return ValidationFailed("a text holds half a surrogate pair, which cannot be stored")
    return DatabaseRefused(f"the database refused the statement: {error}")
