"""The service catalogue, presets and prices as data: `rules/services.yaml`, `presets.yaml`, `prices.yaml`.

Units inside: CPU in millicores, memory in MiB, storage in GB (decimal), prices per month. In the files they
are written as Kubernetes does (`200m`, `512Mi`, `4Gi`), storage as `40GB` or `1.0TB`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from ecpmon.errors import ValidationFailed
from ecpmon.model.tenants import Resources
from ecpmon.resources import data_dir

FILES: Final = ("services.yaml", "presets.yaml", "prices.yaml")
_MIB: Final = {"Mi": 1, "Gi": 1024}
_GB: Final = {"GB": 1, "TB": 1000}
# A name that can be a Deployment, a label and the start of `{name}-service`.
_NAME: Final = r"^[a-z]([-a-z0-9]{0,53}[a-z0-9])?$"


class CatalogueError(ValidationFailed):
    """A catalogue file is unreadable or inconsistent; `details["fields"]` has one entry per bad field."""


def _quantity(value: object, pattern: str, units: Mapping[str, int], example: str) -> int:
    """A whole number of base units; a quantity that is not whole (`0.0005TB`) is refused."""
    match = (
        re.fullmatch(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,6}})?)({pattern})", value)
        if isinstance(value, str)
        else None
    )
    amount = Decimal(match[1]) * units[match[2]] if match else Decimal(-1)
    if amount < 0 or amount != amount.to_integral_value():
        raise ValueError(f"expected a quantity such as {example}, found {value!r}")
    return int(amount)


def _millicores(value: object) -> int:
    return _quantity(value, "m", {"m": 1}, "200m")


def _mebibytes(value: object) -> int:
    return _quantity(value, "Mi|Gi", _MIB, "512Mi or 4Gi")


def _gigabytes(value: object) -> int:
    return _quantity(value, "GB|TB", _GB, "40GB or 1.0TB")


def _pinned(image: str) -> str:
    """An image that is the same tomorrow: a digest, or a tag other than `latest`."""
    tag = re.fullmatch(r"[^\s@]*[^\s@:/]:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})", image)
    if not re.search(r"@sha256:[0-9a-f]{64}$", image) and (tag is None or tag[1] == "latest"):
        raise ValueError(f"expected an image with a pinned tag (not latest) or digest, found {image!r}")
    return image


# Dumped as they are written, so that a stored plan reads back.
Millicores = Annotated[int, BeforeValidator(_millicores), PlainSerializer(lambda n: f"{n}m"), Field(gt=0)]
Mebibytes = Annotated[int, BeforeValidator(_mebibytes), PlainSerializer(lambda n: f"{n}Mi"), Field(gt=0)]
Gigabytes = Annotated[int, BeforeValidator(_gigabytes), PlainSerializer(lambda n: f"{n}GB")]
Image = Annotated[str, AfterValidator(_pinned)]
Port = Annotated[int, Field(ge=1, le=65535)]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000)]
Percent = Annotated[Decimal, Field(gt=0, lt=100)]
Name = Annotated[str, Field(pattern=_NAME)]
WrittenPath = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]+)+$", max_length=200)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]


class _Data(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class Probe(_Data):
    """An HTTP GET of `path`, or with `path` None a TCP connection, on the container's port."""

    path: str | None
    initial_delay_seconds: int = Field(ge=0, le=3600)
    period_seconds: int = Field(ge=1, le=3600)


class ServiceSpec(_Data):
    """One replica of a service. Millicores, MiB, GB; `response_time_ms` at `sessions_per_replica`."""

    service_type: str
    sessions_per_replica: int = Field(ge=1)
    response_time_ms: int = Field(ge=1, le=60_000)
    cpu_request: Millicores
    cpu_limit: Millicores
    memory_request: Mebibytes
    memory_limit: Mebibytes
    needs_gpu: bool = False
    gpu_share: Decimal = Field(default=Decimal(0), ge=0, le=1)
    storage: Gigabytes
    data_path: str | None = None
    # Beside /tmp and data_path: what the image writes to, which a read-only root would refuse.
    writes: tuple[WrittenPath, ...] = Field(default=(), max_length=8)
    user: int = Field(default=10001, ge=1, le=65535)
    env: Mapping[EnvName, str] = Field(default_factory=dict)
    image: Image
    port: Port = 8080
    service_port: Port = 80
    liveness: Probe = Probe(path="/health", initial_delay_seconds=30, period_seconds=10)
    readiness: Probe = Probe(path="/ready", initial_delay_seconds=5, period_seconds=5)
    stateful: bool = False
    needed_by: tuple[str, ...] = ()
    fronts_users: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> ServiceSpec:
        if self.cpu_request > self.cpu_limit or self.memory_request > self.memory_limit:
            raise ValueError("a request exceeds its limit")
        if self.needs_gpu != (self.gpu_share > 0):
            raise ValueError("needs_gpu and gpu_share contradict each other")
        if self.stateful and (self.data_path is None or self.storage == 0):
            raise ValueError("a stateful part needs storage and a data_path")
        return self


class PresetSpec(_Data):
    """What a preset grants: millicores, MiB, GPUs, GB; `deployment_minutes` from … to."""

    cpu: Millicores
    memory: Mebibytes
    gpu: int = Field(ge=0, le=10_000)
    storage: Gigabytes
    deployment_minutes: tuple[int, int]

    @model_validator(mode="after")
    def _ordered(self) -> PresetSpec:
        low, high = self.deployment_minutes
        if not 0 < low <= high:
            raise ValueError("deployment_minutes: expected [shortest, longest]")
        return self

    @property
    def resources(self) -> Resources:
        """As in the public API: `24000m`, `32Gi`, 3, `1.0TB`."""
        return Resources(
            cpu=f"{self.cpu}m",
            memory=memory_text(self.memory),
            gpu=self.gpu,
            storage=storage_text(self.storage),
        )

    def holds(self, other: PresetSpec) -> bool:
        """Whether this grants at least as much as `other` of everything."""
        return all(
            mine >= theirs
            for mine, theirs in zip(
                (self.cpu, self.memory, self.gpu, self.storage),
                (other.cpu, other.memory, other.gpu, other.storage),
                strict=True,
            )
        )


class SlaPolicy(_Data):
    """How an SLA target (percent) shapes a plan; see `rules/presets.yaml`."""

    spare_from: Percent
    spread_from: Percent
    without_spare: Percent
    design_utilisation: Decimal = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> SlaPolicy:
        if self.without_spare >= self.spare_from:
            raise ValueError("without_spare must be below spare_from, or it would ask for the spare again")
        return self


class PriceTable(_Data):
    """Per month; CPU per core, memory per GiB, storage per TB."""

    symbol: str = Field(min_length=1, max_length=4)
    platform_fee: Price
    per_cpu_core: Price
    per_memory_gib: Price
    per_gpu: Price
    per_storage_tb: Price


class Catalogue(_Data):
    """Everything that sizing reads. `presets` is ordered, smallest first."""

    services: Mapping[Name, ServiceSpec] = Field(min_length=1)
    gpu_type: str
    presets: Mapping[Name, PresetSpec] = Field(min_length=1)
    sla: SlaPolicy
    prices: PriceTable

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        order = list(self.presets.items())
        for (small, lesser), (large, greater) in pairwise(order):
            if not greater.holds(lesser):
                raise ValueError(f"presets: {large!r} grants less than {small!r} before it")
        for name, spec in self.services.items():
            for dependent in spec.needed_by:
                # Parts that need parts would make the sum of sessions depend on an order.
                if dependent not in self.services or self.services[dependent].needed_by:
                    raise ValueError(f"services.{name}.needed_by: {dependent!r} is no service of its own")
        return self


def memory_text(mebibytes: int) -> str:
    """`4Gi` for whole GiB, else `512Mi`."""
    return f"{mebibytes // 1024}Gi" if mebibytes and mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def storage_text(gigabytes: int) -> str:
    """Decimal terabytes with at least one place: `1.0TB`, `0.25TB`."""
    whole, rest = divmod(gigabytes, 1000)
    return f"{whole}.{f'{rest:03d}'.rstrip('0') or '0'}TB"


def parse_catalogue(services: str, presets: str, prices: str) -> Catalogue:
    """A catalogue from the texts of the three files. Raises CatalogueError with the path of what is wrong."""
    parts = [_mapping(name, text) for name, text in zip(FILES, (services, presets, prices), strict=True)]
    try:
        return Catalogue.model_validate({**parts[0], **parts[1], "prices": parts[2]})
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        found = "; ".join(f"{f['field']}: {f['message']}" if f["field"] else f["message"] for f in fields)
        raise CatalogueError(f"the service catalogue is not valid: {found}", fields=fields) from error


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue in `folder`; a file that is missing there is taken from those shipped.

    Raises CatalogueError, also when a file cannot be read.
    """
    if not folder.is_dir():
        raise CatalogueError(f"the service catalogue cannot be read: {folder} is not a folder")
    shipped = data_dir("rules")
    try:
        texts = [_existing(folder / n, shipped / n).read_text(encoding="utf-8") for n in FILES]
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"the service catalogue cannot be read: {error}") from error
    return parse_catalogue(*texts)


@cache
def default_catalogue() -> Catalogue:
    """The catalogue shipped with ecpmon, read once."""
    return load_catalogue(data_dir("rules"))


def _existing(own: Path, shipped: Path) -> Path:
    return own if own.exists() else shipped


class _UniqueKeys(yaml.SafeLoader):
    """YAML keeps the last of two equal keys without a word; a service defined twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} occurs twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _mapping(name: str, text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise CatalogueError(f"{name} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise CatalogueError(f"{name}: expected a mapping")
    return document
