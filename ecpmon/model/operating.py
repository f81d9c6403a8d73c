"""What administrators set over HTTP (api.md §10): deployment and monitoring, by the names of the source documents.

What is not set is as the environment says. None of it is a secret: URLs carry no user, password or query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr

MAX_URL: Final = 500
# The shortest pause that a pull fits in, and the longest in which its clock may be off.
MIN_INTERVAL: Final = 1
MAX_INTERVAL: Final = 300
_MAX_DECIMALS: Final = 6
# Where nobody says anything else.
_SLA_TARGET: Final = 99.5
_INTERVAL: Final = 5.0
# What takes effect only in processes that are started after the change.
NEXT_START: Final = frozenset({"deploymentEndpoint"})


def plain_url(text: str) -> str:
    """An http(s) URL with nothing in it that could be a secret, without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be an http:// or https:// URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be an http:// or https:// URL")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be printable ASCII without blanks")
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("must hold no user, password, query or fragment: it is shown")
    return text.rstrip("/")


def without_secrets(url: str | None) -> str | None:
    """A URL of the environment as it may be shown."""
    if url is None:
        return None
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _few_decimals(value: float) -> float:
    exponent = Decimal(str(value)).normalize().as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > _MAX_DECIMALS:
        raise ValueError(f"must have at most {_MAX_DECIMALS} decimals")
    return value


Url = Annotated[StrictStr, Field(max_length=MAX_URL), AfterValidator(plain_url)]
Method = Literal["k8s-simulator", "kubernetes", "gitops"]
Stack = Literal["all", "custom", "prometheus"]
# What the API of deployments calls them.
METHODS: Final[dict[Method, str]] = {
    "k8s-simulator": "simulator",
    "kubernetes": "kubernetes",
    "gitops": "gitops",
}


class DeploymentSettings(BaseModel):
    """None: as the environment says."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    # How tenants are deployed when a request does not say.
    deploymentMethod: Method | None = None
    # The simulator's API.
    deploymentEndpoint: Url | None = None
    # Where people look at the simulator.
    simulatorUrl: Url | None = None
    # Whether manifests are validated strictly when a request does not say.
    validationStrict: StrictBool | None = None


class MonitoringSettings(BaseModel):
    """None: as the environment says."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    # What is pulled: `custom`, the endpoint below; `prometheus`; or both.
    monitoringStack: Stack | None = None
    # What the simulator's metrics are pulled from.
    customApiEndpoint: Url | None = None
    # Percent that are promised to a new tenant that asks for nothing else.
    slaTarget: Annotated[float, Field(strict=True, gt=0, lt=100), AfterValidator(_few_decimals)] | None = None
    # Whether sockets of live metrics are opened.
    realTimeMonitoring: StrictBool | None = None
    # Seconds between pulls of the endpoint above.
    dataCollectionInterval: Annotated[float, Field(strict=True, ge=MIN_INTERVAL, le=MAX_INTERVAL)] | None = (
        None
    )


G = TypeVar("G", DeploymentSettings, MonitoringSettings)


class OperatingSettings(BaseModel):
    """What is set, or a change of it."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True)

    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings.model_construct)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings.model_construct)

    @property
    def method(self) -> str:
        """How tenants are deployed, as the API of deployments calls it."""
        return METHODS[self.deployment.deploymentMethod or "k8s-simulator"]

    @property
    def sla_target(self) -> float:
        """Percent."""
        return self.monitoring.slaTarget or _SLA_TARGET

    @property
    def promised(self) -> str:
        """The same as contracts write it: `99.5%`."""
        return f"{Decimal(str(self.sla_target)).normalize():f}%"

    @property
    def real_time(self) -> bool:
        return self.monitoring.realTimeMonitoring is not False

    @property
    def interval(self) -> float:
        """Seconds."""
        return self.monitoring.dataCollectionInterval or _INTERVAL

    def fields(self) -> dict[str, Any]:
        """Every field by its name: no two groups have one in common."""
        return {**self.deployment.__dict__, **self.monitoring.__dict__}

    def changed(self, change: OperatingSettings) -> OperatingSettings:
        """This with what `change` names; what it sets to None is not set any more."""
        return OperatingSettings.model_construct(
            deployment=_with(self.deployment, change.deployment),
            monitoring=_with(self.monitoring, change.monitoring),
        )

    def over(self, base: OperatingSettings) -> OperatingSettings:
        """What counts: this where it is set, else `base`."""
        return OperatingSettings.model_construct(
            deployment=_over(self.deployment, base.deployment),
            monitoring=_over(self.monitoring, base.monitoring),
        )


def _with(own: G, change: G) -> G:
    return own.model_copy(update={name: getattr(change, name) for name in change.model_fields_set})


def _over(own: G, base: G) -> G:
    return base.model_copy(update={name: value for name, value in own.__dict__.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Stored:
    """What is stored, and since when; `version` counts the changes."""

    settings: OperatingSettings
    version: int = 0
    changed_at: datetime | None = None
    changed_by: str | None = None


def read(document: Mapping[str, Any]) -> OperatingSettings:
    """As stored. Raises pydantic's ValidationError for what somebody else has written there."""
    return OperatingSettings.model_validate(document)
