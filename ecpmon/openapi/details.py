"""What stands in `details` of an error, by its code. In the tests every error is compared with it.

A code that is not named here has none: an empty object.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, NotRequired

from pydantic import Field

from ecpmon.openapi.declaring import TypedDict

Limit = Annotated[
    str, Field(description="What is used up, as `ecpmon_refusals_total` counts it.", examples=["requests"])
]
_NUMBER_OR_TEXT: Final = Field(description="As it stood in the path, where that can be no number.")


class NoDetails(TypedDict):
    """The message says all there is."""


class FieldProblem(TypedDict):
    field: Annotated[
        str, Field(description="Its path, with dots; empty: the whole.", examples=["sla_target.availability"])
    ]
    message: Annotated[
        str, Field(description="What is wrong with it, in the language of the error's message.")
    ]


class ValidationFailedDetails(TypedDict):
    fields: Annotated[list[FieldProblem], Field(description="The bad fields; of many the first.")]
    more: NotRequired[Annotated[int, Field(description="So many are left out.", ge=1)]]
    limit: NotRequired[Limit]
    position: NotRequired[
        Annotated[int, Field(description="Of a condition: the character from which on it is wrong.", ge=0)]
    ]


class TenantNotFoundDetails(TypedDict):
    tenant_id: str


class NotFoundDetails(TypedDict, total=False):
    """What was asked for."""

    tenant_id: str
    rule_id: str
    deployment_id: str
    maintenance_id: str
    silence_id: str
    request_id: str
    objective: str
    profile: str
    delivery_id: Annotated[int | str, _NUMBER_OR_TEXT]
    sending_id: Annotated[int | str, _NUMBER_OR_TEXT]
    token_id: Annotated[int | str, _NUMBER_OR_TEXT]
    link_id: Annotated[int | str, _NUMBER_OR_TEXT]
    revision: int
    known: Annotated[list[str], Field(description="What there is instead.")]


class ConflictDetails(TypedDict, total=False):
    """What is in the way, or about what it is."""

    tenant_id: str
    status: str
    updated_at: Annotated[datetime, Field(description="When it was changed since it was read.")]
    alert_name: str
    deployment_id: str
    delivery_id: int
    sending_id: int
    maintenance_id: str
    token_id: int
    constraint: Annotated[str | None, Field(description="Of the database.")]


class TenantAlreadyExistsDetails(TypedDict):
    tenant_id: str
    existing_status: NotRequired[Annotated[str, Field(description="For who may see that tenant.")]]


class LimitReachedDetails(TypedDict):
    limit: Limit
    most: Annotated[int, Field(description="So many there may be.")]


class BudgetExhaustedDetails(TypedDict):
    tenant_id: str
    reason: Annotated[str, Field(examples=["exhausted"])]
    remaining_minutes: float
    contract_version: int
    coverage: Annotated[float | None, Field(description="Percent of 30 days that were measured; null: none.")]


class GivenMode(TypedDict):
    given: Annotated[str, Field(description="Its first 40 characters.")]


class WhyNot(TypedDict, total=False):
    reason: Annotated[
        str, Field(description="For programs, of a signed token (docs/tokens.md).", examples=["expired"])
    ]


class WhyNotWritable(TypedDict):
    reason: Annotated[str, Field(examples=["disk_full"])]


class UnknownPreset(TypedDict):
    preset: str
    known: NotRequired[list[str]]


class QuantitiesNeeded(TypedDict, total=False):
    """As Kubernetes writes them."""

    cpu: Annotated[str, Field(examples=["24000m"])]
    memory: Annotated[str, Field(examples=["32Gi"])]
    gpu: int
    storage: Annotated[str, Field(examples=["1.0TB"])]


class WeakerTarget(TypedDict, total=False):
    availability: Annotated[str, Field(examples=["99.5%"])]
    response_time: Annotated[str, Field(examples=["300ms"])]
    concurrent_users: int


class TooSmall(TypedDict):
    preset: str
    needs: QuantitiesNeeded
    missing: Annotated[QuantitiesNeeded, Field(description="What the preset lacks.")]
    smallest_preset: NotRequired[Annotated[str, Field(description="The smallest that is large enough.")]]
    fits_with: NotRequired[
        Annotated[WeakerTarget, Field(description="With this target the preset would do.")]
    ]


class ManifestInvalidDetails(TypedDict):
    errors: Annotated[list[str], Field(description="What validation says, as `errors` of validate-manifest.")]


class RateLimitedDetails(TypedDict, total=False):
    limit: Limit


class OverloadedDetails(RateLimitedDetails, total=False):
    """To Alertmanager it tells what became of the alerts, as the answer 200 does."""

    received: int
    new: int
    duplicates: int
    firing: int
    resolved: int
    ignored: int
    ignored_reasons: dict[str, int]
    rejected: list[FieldProblem]
    rejected_count: int
    left: int
    truncated: int
    recoveries: int


class BadRequestDetails(TypedDict, total=False):
    """Of what agents send; else empty."""

    reason: Annotated[
        str,
        Field(
            description="`malformed`, `too_large`, `partly_refused`, or the code that others get, in small letters.",
            examples=["partly_refused"],
        ),
    ]
    tenant_id: str
    accepted: Annotated[int, Field(description="Samples that were stored.", ge=0)]
    left_out: Annotated[dict[str, int], Field(description="How many were not, by why.")]
    metrics: Annotated[list[str], Field(description="Some of those that were refused.", max_length=5)]


DETAILS: Final[Mapping[str, Any]] = {
    "BAD_REQUEST": BadRequestDetails,
    "VALIDATION_FAILED": ValidationFailedDetails,
    "TENANT_NOT_FOUND": TenantNotFoundDetails,
    "NOT_FOUND": NotFoundDetails,
    "CONFLICT": ConflictDetails,
    "TENANT_ALREADY_EXISTS": TenantAlreadyExistsDetails,
    "LIMIT_REACHED": LimitReachedDetails,
    "ERROR_BUDGET_EXHAUSTED": BudgetExhaustedDetails,
    "INVALID_DEMO_MODE": GivenMode,
    "UNAUTHORIZED": WhyNot,
    "DATABASE_NOT_WRITABLE": WhyNotWritable,
    "INVALID_PRESET": UnknownPreset,
    "INSUFFICIENT_RESOURCES": TooSmall,
    "MANIFEST_INVALID": ManifestInvalidDetails,
    "RATE_LIMITED": RateLimitedDetails,
    "TOO_MANY_SOCKETS": RateLimitedDetails,
    "OVERLOADED": OverloadedDetails,
}


def details_of(code: str) -> Any:
    return DETAILS.get(code, NoDetails)
