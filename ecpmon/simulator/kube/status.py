"""Kubernetes' one error shape: every failure is an `ApiError`, and an `ApiError` is a `Status` document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ecpmon.kube.causes import Cause

Document = dict[str, Any]


class ApiError(Exception):
    """A refusal; `code` is the HTTP status, `reason` one of Kubernetes' StatusReason words."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def as_document(self) -> Document:
        """The `Status` object."""
        document: Document = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            document["reason"] = self.reason
        if self.details:
            document["details"] = self.details
        document["code"] = self.code
        return document


def success(details: Mapping[str, Any]) -> Document:
    """What a deletion answers."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": dict(details),
    }


def _about(plural: str, group: str, name: str = "") -> Document:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", plural)) if value}


def qualified(plural: str, group: str) -> str:
    return f"{plural}.{group}" if group else plural


def no_such_path() -> ApiError:
    message = "the server could not find the requested resource"
    # kubectl (debug) reads `details` of a 404 unchecked and dies without it.
    return ApiError(404, "NotFound", message, details={"causes": []})


def not_found(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, details=_about(plural, group, name))


def forbidden(plural: str, group: str, name: str, why: str) -> ApiError:
    """Nobody may do that, or not this user; without a resource: a path."""
    what = f'{qualified(plural, group)} "{name}" is ' if name else f"{qualified(plural, group)} is "
    message = f"{what if plural else ''}forbidden: {why}"
    return ApiError(403, "Forbidden", message, details=_about(plural, group, name))


def already_exists(plural: str, group: str, name: str) -> ApiError:
    message = f'{qualified(plural, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_about(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_about(plural, group, name))


def modified(plural: str, group: str, name: str) -> ApiError:
    """Optimistic locking failed."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict(plural, group, name, why)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """The document was understood and is wrong; one cause per field."""
    what = qualified(kind, group)
    listed = [f"{cause.field}: {cause.message}" for cause in causes]
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    details = {**_about(kind, group, name), "causes": [cause.as_document() for cause in causes]}
    return ApiError(422, "Invalid", f'{what} "{name}" is invalid: {text}', details=details)


def method_not_allowed(verb: str, plural: str, group: str) -> ApiError:
    message = f"{verb} is not supported on resources of kind {qualified(plural, group)!r}".replace("'", '"')
    return ApiError(405, "MethodNotAllowed", message, details=_about(plural, group))


def not_acceptable(offered: Sequence[str]) -> ApiError:
    message = f"only the following media types are accepted: {', '.join(offered)}"
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(accepted)}"
    )
    return ApiError(415, "UnsupportedMediaType", message)


def expired(message: str) -> ApiError:
    """The version asked for is no longer known: list again."""
    return ApiError(410, "Expired", message)


def too_large_version(asked: int, current: int) -> ApiError:
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    return ApiError(504, "Timeout", message, details=details, headers={"Retry-After": "1"})


UNAUTHORIZED: Final = ApiError(401, "Unauthorized", "Unauthorized")
INTERNAL: Final = ApiError(
    500, "InternalError", "Internal error occurred: the simulator's log has the details"
)
