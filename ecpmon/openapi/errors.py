"""Every error code that a service of ours gives, with its status and an example, from the error tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, get_type_hints

from pydantic import Field

from ecpmon import errors
from ecpmon.errors import EcpError
from ecpmon.openapi.declaring import TypedDict
from ecpmon.openapi.details import details_of
from ecpmon.serving import BROKEN

TIMESTAMP: Final = "2026-01-20T14:30:00Z"
REQUEST_ID: Final = "req-0f3c1b2a4d5e"


class ErrorBody(TypedDict):
    code: Annotated[str, Field(description="What went wrong, for programs; it does not change.")]
    message: Annotated[
        str,
        Field(
            description="The same for people, in English, or in the language that `Accept-Language` prefers where "
            "there is one."
        ),
    ]
    details: Annotated[
        dict[str, Any],
        Field(description="What belongs to the code: the schema of each says what."),
    ]
    timestamp: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    request_id: Annotated[
        str, Field(description="As in the header `X-Request-ID` and in every line of the log.")
    ]


class ErrorDocument(TypedDict):
    """Whatever is no success has this shape."""

    error: ErrorBody


@cache
def document_of(code: str) -> Any:
    """The same of one code, with what belongs to it: a shape of its own, of which clients can be generated, and which
    they can tell from others by its code."""
    name = "".join(word.capitalize() for word in code.split("_"))
    hints = get_type_hints(ErrorBody, include_extras=True)
    shape: Any = TypedDict
    body = shape(f"{name}Body", {**hints, "code": Literal[code], "details": details_of(code)})
    return shape(f"{name}Error", {"error": body})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error code as the document shows it."""

    code: str
    status: int
    meaning: str
    message: str
    details: Mapping[str, Any]

    @property
    def example(self) -> dict[str, Any]:
        return {
            "error": {
                "code": self.code,
                "message": self.message,
                "details": dict(self.details),
                "timestamp": TIMESTAMP,
                "request_id": REQUEST_ID,
            }
        }


def refusal(error: EcpError, meaning: str) -> Refusal:
    """An error as it is raised, and what its code means."""
    return Refusal(error.code, error.status, meaning, error.message, error.details)


# One of each code, as it is raised.
_RAISED: Final[tuple[tuple[EcpError, str], ...]] = (
    (
        errors.BadRequest("the body is not JSON: not UTF-8"),
        "Not HTTP, not JSON, or not the encoding it claims.",
    ),
    (
        errors.InvalidDemoMode("X-Demo-Mode must be true or false", details={"given": "perhaps"}),
        "`X-Demo-Mode` is neither `true` nor `false`.",
    ),
    (
        errors.Unauthorized("send `Authorization: Bearer <token>`; `ecpmon token create` makes one"),
        "No token, or one that is unknown, expired or revoked.",
    ),
    (errors.Forbidden("this needs one of the roles admin"), "The token lacks the role."),
    (errors.TenantNotFound("my-ai-service"), "There is no such tenant, or not for this caller."),
    (
        errors.NotFound(
            "there is no such alert rule", details={"rule_id": "6f1c2a52-0000-4000-8000-000000000000"}
        ),
        "There is nothing of that name, or not for this caller.",
    ),
    (
        errors.RequestTimeout("the body did not arrive within 30 s; send it in smaller parts"),
        "The body came too slowly.",
    ),
    (
        errors.Conflict(
            "the tenant has changed since you read it; read it again",
            details={"tenant_id": "my-ai-service", "updated_at": TIMESTAMP},
        ),
        "What is there already forbids it.",
    ),
    (errors.TenantAlreadyExists("my-ai-service", "running"), "The name is taken."),
    (
        errors.LimitReached("this tenant has 100 valid tokens; revoke some first", limit="tokens", most=100),
        "More than one tenant may have.",
    ),
    (
        errors.BudgetExhausted(
            "the error budget of this tenant is spent",
            details={
                "tenant_id": "my-ai-service",
                "reason": "exhausted",
                "remaining_minutes": -3.5,
                "contract_version": 1,
                "coverage": 99.8,
            },
        ),
        "The tenant's error budget is spent, so it is not deployed without `force`.",
    ),
    (
        errors.PayloadTooLarge("the body is larger than 2000000 bytes; send it in parts"),
        "The body is too large.",
    ),
    (
        errors.UnsupportedEncoding("Content-Encoding br is not known here; send gzip, deflate or identity"),
        "The body's `Content-Encoding`, or its type, is not known here.",
    ),
    (
        errors.ValidationFailed(
            "some fields are not as they should be",
            fields=[{"field": "limit", "message": "Input should be less than or equal to 1000"}],
        ),
        "Understood, and not possible: `details.fields` names each bad field.",
    ),
    (
        errors.InvalidPreset(
            "unknown preset; known are micro, small, medium, large", details={"preset": "huge"}
        ),
        "There is no preset of that name.",
    ),
    (
        errors.InsufficientResources(
            "preset 'small' lacks 2000m cpu; the smallest that fits is 'medium'",
            details={
                "preset": "small",
                "smallest_preset": "medium",
                "needs": {"cpu": "10000m", "memory": "14Gi", "gpu": 1, "storage": "0.2TB"},
                "missing": {"cpu": "2000m"},
            },
        ),
        "No preset, or not the one asked for, is large enough.",
    ),
    (
        errors.ManifestInvalid(["document 3: Deployment/callbot: spec.replicas: must be an integer"]),
        "What the tenant would be brought out by is no valid manifest; nothing was begun.",
    ),
    (errors.DeploymentFailed("the deployment failed"), "A deployment failed, and was rolled back."),
    (
        errors.RateLimited("too many requests; wait", details={"limit": "requests"}),
        "Your share is used up: again after `Retry-After`.",
    ),
    (
        errors.TooManySockets("100 sockets are open with this token", details={"limit": "sockets_per_token"}),
        "Too many sockets are open.",
    ),
    (errors.DatabaseUnavailable("the database does not answer"), "The database does not answer."),
    (
        errors.DatabaseNotWritable("the database stores nothing: its disk is full", "disk_full"),
        "The database answers, but stores nothing. Nothing of the request was stored.",
    ),
    (errors.NoLongerLeader("another process leads"), "Another process leads by now. Nothing was stored."),
    (errors.MonitoringUnavailable("Prometheus does not answer"), "A source of metrics does not answer."),
    (errors.SimulatorUnavailable("the simulator does not answer"), "The simulator does not answer."),
    (
        errors.KubernetesUnavailable("the cluster's API does not answer"),
        "The cluster, or the git remote, does not answer.",
    ),
    (
        errors.IdentityProviderUnavailable("the issuer of this token does not answer"),
        "The issuer of a signed token does not answer, so that it cannot be checked.",
    ),
    (errors.Overloaded("too much is under way; try again shortly"), "Too much is under way."),
)
# What aiohttp, or a fault of ours, is answered with.
_OTHERS: Final = (
    Refusal("METHOD_NOT_ALLOWED", 405, "See `Allow`.", "PATCH is not possible here; allowed: GET,HEAD", {}),
    Refusal(
        "EXPECTATION_FAILED",
        417,
        "An `Expect` other than `100-continue`.",
        "nothing but `Expect: 100-continue` can be met",
        {},
    ),
    Refusal("INTERNAL_ERROR", 500, "A fault of ours: tell us the `request_id`.", BROKEN, {}),
)

REFUSALS: Final[Mapping[str, Refusal]] = {
    r.code: r
    for r in (
        *(refusal(error, meaning) for error, meaning in _RAISED),
        *_OTHERS,
    )
}
