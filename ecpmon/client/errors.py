"""What a client raises: one small tree, by what its caller can do about it.

ECPError
├── Unreachable            nothing answered, or the answer was cut short
├── AnsweredError          the service said no
│   ├── InvalidRequest     400, 405, 413, 415, 422: change it; `fields` names the bad ones
│   ├── Unauthorized       401
│   ├── Forbidden          403
│   ├── NotFound           404
│   ├── Conflict           409: what is there forbids it
│   ├── RateLimited        429, after `retry_after` seconds
│   ├── Unavailable        408, 502, 503, 504: later
│   └── ServerFault        other 5xx: tell its operators the `request_id`
├── DeploymentFailed       a deployment that was waited for
└── NotDelivered           entries of a batch that could not be delivered; they are in it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ecpmon.client.pending import Entry


class ECPError(Exception):
    """`code`: stable, for programs (docs/errors.md). `request_id`: by it the service's operators find the request."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.details: dict[str, Any] = dict(details or {})
        self.request_id = request_id

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" [{self.request_id}]" if self.request_id else "")


class Unreachable(ECPError):
    """`sent` False: not even the request went out, so that nothing can have come of it."""

    def __init__(self, message: str, *, request_id: str | None = None, sent: bool, timed_out: bool = False):
        super().__init__(message, code="TIMEOUT" if timed_out else "UNREACHABLE", request_id=request_id)
        self.sent = sent


class AnsweredError(ECPError):
    """`status`: HTTP's, or None for what was said in a socket; `retry_after`: seconds, if the service named any."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details, request_id=request_id)
        self.status = status
        self.retry_after = retry_after


class InvalidRequest(AnsweredError):
    @property
    def fields(self) -> list[dict[str, str]]:
        """One `{"field", "message"}` per bad field; empty where the refusal is not about fields."""
        found: list[dict[str, str]] = self.details.get("fields", [])
        return found


class Unauthorized(AnsweredError):
    pass


class Forbidden(AnsweredError):
    pass


class NotFound(AnsweredError):
    pass


class Conflict(AnsweredError):
    pass


class RateLimited(AnsweredError):
    pass


class Unavailable(AnsweredError):
    pass


class ServerFault(AnsweredError):
    pass


class DeploymentFailed(ECPError):
    """`details` is the deployment as `deployments` shows it; `status` in it is `failed` or `rolled-back`."""


class NotDelivered(ECPError):
    """`entries` were taken by a batch and are not at the service. `because`: the error of the last try."""

    def __init__(self, entries: Sequence[Entry], because: ECPError | None) -> None:
        why = f": {because}" if because is not None else ", as there was no time left"
        super().__init__(f"{len(entries)} entries were not delivered{why}", code="NOT_DELIVERED")
        self.entries = tuple(entries)
        self.because = because


_BY_STATUS: Final[dict[int, type[AnsweredError]]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: InvalidRequest,
    408: Unavailable,
    409: Conflict,
    413: InvalidRequest,
    415: InvalidRequest,
    422: InvalidRequest,
    429: RateLimited,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
# Refusals before anything was done, whatever was asked for.
_NOTHING_DONE: Final = frozenset({"OVERLOADED", "RATE_LIMITED", "TOO_MANY_SOCKETS"})


def error_of(
    status: int, document: Any, *, request_id: str | None, retry_after: float | None = None
) -> AnsweredError:
    """The error that an answer tells. What is not the service's own (a proxy's page) has the code `HTTP_<status>`."""
    said = document.get("error") if isinstance(document, Mapping) else None
    if not isinstance(said, Mapping):
        said = {}
    kind = _BY_STATUS.get(status) or (ServerFault if status >= 500 else AnsweredError)
    details = said.get("details")
    return kind(
        str(said.get("message") or f"the answer is {status}"),
        code=str(said.get("code") or f"HTTP_{status}"),
        details=details if isinstance(details, Mapping) else None,
        request_id=str(said["request_id"]) if said.get("request_id") else request_id,
        status=status,
        retry_after=retry_after,
    )


def did_nothing(error: ECPError) -> bool:
    """Whether it is certain that nothing came of the request, so that it may be sent again whatever it asks for."""
    if isinstance(error, Unreachable):
        return not error.sent
    return error.code in _NOTHING_DONE


def passes(error: ECPError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, Unreachable | RateLimited | Unavailable)
