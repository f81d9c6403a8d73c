"""What of PostgreSQL's errors says that nothing can be stored."""

from __future__ import annotations

import asyncpg
import pytest

from ecpmon.errors import Conflict, DatabaseNotWritable, DatabaseUnavailable, EcpError
from ecpmon.storage.faults import DatabaseRefused, wrap_errors


def raised(sqlstate: str, function: str, message: str) -> EcpError:
    fields = {"S": "ERROR", "C": sqlstate, "M": message, "R": function, "F": "some.c"}
    with pytest.raises(EcpError) as caught, wrap_errors():
        raise asyncpg.PostgresError.new(fields)
    return caught.value


@pytest.mark.parametrize(
    ("sqlstate", "function", "message", "reason"),
    [
        ("53100", "mdextend", "could not extend file: No space left on device", "disk_full"),
        ("53100", "XLogFileInitInternal", "could not write to file: No space left on device", "disk_full"),
        ("53100", "BufFileDumpBuffer", "Auf dem Gerät ist kein Speicherplatz mehr verfügbar", "disk_full"),
        ("XX000", "mdextend", "could not extend file: File too large", "disk_failing"),
        ("42501", "mdzeroextend", "could not extend file: Read-only file system", "disk_failing"),
        ("58030", "mdwritev", "could not write block: Input/output error", "disk_failing"),
        (
            "25006",
            "PreventCommandIfReadOnly",
            "cannot execute INSERT in a read-only transaction",
            "read_only",
        ),
    ],
)
def test_a_database_that_stores_nothing_says_why(
    sqlstate: str, function: str, message: str, reason: str
) -> None:
    error = raised(sqlstate, function, message)
    assert isinstance(error, DatabaseNotWritable)
    assert (error.status, error.reason, error.details) == (503, reason, {"reason": reason})
    assert error.retryable
    assert error.retry_after is not None
    assert error.retry_after >= 5


@pytest.mark.parametrize(
    ("sqlstate", "function", "kind"),
    [
        ("57P02", "quickdie", DatabaseUnavailable),  # another server process crashed, on a full WAL for one
        ("57P03", "ProcessStartupPacket", DatabaseUnavailable),  # it recovers from that
        ("53300", "InitProcess", DatabaseUnavailable),
        ("42501", "aclcheck_error", DatabaseRefused),
        ("XX000", "elog", DatabaseRefused),
        ("23505", "_bt_check_unique", Conflict),
    ],
)
def test_what_is_no_matter_of_the_disk_stays_what_it_was(
    sqlstate: str, function: str, kind: type[EcpError]
) -> None:
    error = raised(sqlstate, function, "x")
    assert isinstance(error, kind)
    assert not isinstance(error, DatabaseNotWritable)
