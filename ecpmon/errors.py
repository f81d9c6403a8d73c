"""The error tree. Every error carries a stable code, an HTTP status and whether trying again can help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

# What a reply says of a request does not grow with the request: characters and fields.
MAX_MESSAGE: Final = 2_000
MAX_FIELDS: Final = 50
_MAX_NAME: Final = 200
_MAX_SAID: Final = 500
_MAX_OF_FIELDS: Final = 6_000
_MAX_TOLD: Final = 5


class EcpError(Exception):
    """Base of every error that we raise on purpose.

    `code` is part of the public contract (api.md §1); `status` is the HTTP status an API answers with;
    `retryable` tells callers of our own (workers, clients) whether the same call may succeed later.
    """

    code: str = "INTERNAL_ERROR"
    status: int = 500
    retryable: bool = False
    retry_after: int | None = None
    limits: tuple[str, str] | None = None

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = shortened(message, MAX_MESSAGE)
        self.details: dict[str, Any] = dict(details or {})


class TemporaryError(EcpError):
    """A dependency failed in a way that passes: try again later. `limits`: the policy that was not kept to, and what is
    left, where a rate is what failed."""

    status = 503
    retryable = True
    retry_after = 2


class PermanentError(EcpError):
    """Trying the same thing again gives the same answer."""

    status = 400


class DatabaseUnavailable(TemporaryError):
    code = "DATABASE_ERROR"


class DatabaseNotWritable(DatabaseUnavailable):
    """The database answers, but stores nothing, whoever asks. `reason`: disk_full, disk_failing or read_only."""

    code = "DATABASE_NOT_WRITABLE"
    retry_after = 10

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, details={"reason": reason})
        self.reason = reason


class NoLongerLeader(TemporaryError):
    """A leader's write was refused: its term is over, and somebody else leads or may. Nothing of it was stored."""

    code = "NO_LONGER_LEADER"


class MonitoringUnavailable(TemporaryError):
    """A metric source (Prometheus, simulator) did not answer, or its answer cannot be trusted."""

    code = "MONITORING_UNAVAILABLE"


class SimulatorUnavailable(TemporaryError):
    code = "SIMULATOR_UNAVAILABLE"


class IdentityProviderUnavailable(TemporaryError):
    """The issuer of signed tokens does not answer, and what is held of it is not enough."""

    code = "IDENTITY_PROVIDER_ERROR"
    retry_after = 5


class Overloaded(TemporaryError):
    code = "OVERLOADED"


class LimitReached(PermanentError):
    """More than one tenant may have; the message says what to do. `limit` names it for metrics as well."""

    code = "LIMIT_REACHED"
    status = 409

    def __init__(self, message: str, *, limit: str, most: int) -> None:
        super().__init__(message, details={"limit": limit, "most": most})


class ValidationFailed(PermanentError):
    """`details["fields"]` holds one `{field, message}` per bad field: of many the first, and `more` counts the rest."""

    code = "VALIDATION_FAILED"
    status = 422

    def __init__(self, message: str, *, fields: Sequence[Mapping[str, str]] = ()) -> None:
        shown = _first(fields)
        more = len(fields) - len(shown)
        super().__init__(message, details={"fields": shown, **({"more": more} if more else {})})


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def told(fields: Sequence[Mapping[str, str]]) -> str:
    """The first few bad fields as one text, and how many more there are."""
    parts = [
        f"{shortened(f['field'], _MAX_NAME)}: {f['message']}" if f["field"] else f["message"]
        for f in fields[:_MAX_TOLD]
    ]
    if more := len(fields) - len(parts):
        parts.append(f"and {more} more")
    return "; ".join(shortened(part, _MAX_SAID) for part in parts)


def _first(fields: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """At most `MAX_FIELDS`, and at most a few thousand characters of them; always one, if there is one."""
    shown: list[dict[str, str]] = []
    size = 0
    for field in islice(fields, MAX_FIELDS):
        cut = {
            "field": shortened(field["field"], _MAX_NAME),
            "message": shortened(field["message"], _MAX_SAID),
        }
        size += len(cut["field"]) + len(cut["message"])
        if shown and size > _MAX_OF_FIELDS:
            break
        shown.append(cut)
    return shown


class BadRequest(PermanentError):
    code = "BAD_REQUEST"


class InvalidDemoMode(PermanentError):
    code = "INVALID_DEMO_MODE"


class InvalidPreset(PermanentError):
    code = "INVALID_PRESET"
    status = 422


class TenantNotFound(PermanentError):
    code = "TENANT_NOT_FOUND"
    status = 404

    def __init__(self, tenant_id: str) -> None:
        super().__init__(f"there is no tenant {tenant_id!r}", details={"tenant_id": tenant_id})


class NotFound(PermanentError):
    code = "NOT_FOUND"
    status = 404


def no_such_deployment(deployment_id: str) -> NotFound:
    """The same for one that is another's."""
    return NotFound("there is no deployment of that name", details={"deployment_id": deployment_id[:100]})


class TenantAlreadyExists(PermanentError):
    code = "TENANT_ALREADY_EXISTS"
    status = 409

    def __init__(self, tenant_id: str, existing_status: str) -> None:
        super().__init__(
            f"a tenant {tenant_id!r} exists already",
            details={"tenant_id": tenant_id, "existing_status": existing_status},
        )


class Conflict(PermanentError):
    code = "CONFLICT"
    status = 409


class Unauthorized(PermanentError):
    code = "UNAUTHORIZED"
    status = 401


class Forbidden(PermanentError):
    code = "FORBIDDEN"
    status = 403


class PayloadTooLarge(PermanentError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413


class UnsupportedEncoding(PermanentError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class RequestTimeout(TemporaryError):
    """The caller took too long to send its request."""

    code = "REQUEST_TIMEOUT"
    status = 408


class RateLimited(TemporaryError):
    code = "RATE_LIMITED"
    status = 429
    retry_after = 1


class TooManySockets(TemporaryError):
    code = "TOO_MANY_SOCKETS"
    status = 429
    retry_after = 10


class InsufficientResources(PermanentError):
    code = "INSUFFICIENT_RESOURCES"
    status = 422


class ManifestInvalid(PermanentError):
    """What a tenant is to be brought out by is no valid manifest; `details["errors"]` has a sentence for each error."""

    code = "MANIFEST_INVALID"
    status = 422

    def __init__(self, errors: Sequence[str]) -> None:
        shown = [shortened(each, _MAX_SAID) for each in errors[:MAX_FIELDS]]
        super().__init__(f"the manifest is not valid: {shown[0]}", details={"errors": shown})


class DeploymentFailed(PermanentError):
    """`rolled_back`: what ran before the deployment runs again."""

    code = "DEPLOYMENT_FAILED"
    status = 422

    def __init__(self, message: str, *, rolled_back: bool = False) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


class KubernetesUnavailable(TemporaryError):
    """The cluster's API, or the git remote, does not answer."""

    code = "KUBERNETES_ERROR"


class BudgetExhausted(PermanentError):
    """The deploy gate: the tenant's error budget is spent."""

    code = "ERROR_BUDGET_EXHAUSTED"
    status = 409


class LocalStackError(EcpError):
    """The embedded stack cannot go on; `hint` is the sentence that says what to do next."""

    code = "LOCAL_STACK"

    def __init__(self, message: str, *, hint: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, details=details)
        self.hint = hint
