"""The catalogue: services, presets and prices as data (`rules/services.yaml`, `rules/presets.yaml`)."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator

from ecpmon.resources import data_dir

# A name becomes that of Kubernetes objects, with room for a suffix such as `-service`.
_NAME: Final = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
# `repository:tag` or `repository@sha256:...`; a tag that moves is refused below.
_IMAGE: Final = r"^[a-z0-9][a-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$"

Name = Annotated[str, Field(pattern=_NAME)]
Positive = Annotated[StrictInt, Field(ge=1, le=10**9)]
NotNegative = Annotated[StrictInt, Field(ge=0, le=10**9)]
Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]
Percent = Annotated[Decimal, Field(gt=0, lt=100)]


class CatalogueError(ValueError):
    """A catalogue file cannot be used; the message names the file and the path in it."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_File = TypeVar("_File", bound=_Data)


class Allotment(_Data):
    """What a replica is promised and what it may take: millicores, or MiB."""

    request: Positive
    limit: Positive

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.request > self.limit:
            raise ValueError("the request must not exceed the limit")
        return self


class Service(_Data):
    """One kind of service, per replica. `gpu` is a share of one GPU."""

    service_type: Name
    sessions_per_replica: Positive
    cpu: Allotment
    memory: Allotment
    needs_gpu: StrictBool
    gpu: Annotated[Decimal, Field(ge=0, le=64, decimal_places=3)]
    storage_gb: NotNegative
    image: Annotated[str, Field(pattern=_IMAGE, max_length=500)]
    port: Annotated[StrictInt, Field(ge=1, le=65535)] = 8080

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.needs_gpu != (self.gpu > 0):
            raise ValueError("needs_gpu is true exactly when gpu is above 0")
        if self.image.endswith(":latest"):
            raise ValueError("the image needs a pinned tag, not latest")
        return self

    @property
    def gpu_milli(self) -> int:
        """The share in thousandths of a GPU, for exact sums."""
        return int(self.gpu * 1000)


class Policy(_Data):
    """How the SLA target shapes a plan. Availabilities in percent."""

    baseline_response_ms: Positive
    redundancy_from: Percent
    spread_from: Percent


class PresetGrant(_Data):
    """What a preset grants: millicores, GiB, whole GPUs, GB."""

    cpu: Positive
    memory_gib: Positive
    gpu: NotNegative
    storage_gb: Positive
    deployment_minutes: tuple[Positive, Positive]

    def covers(self, other: PresetGrant) -> bool:
        """Whether this grants at least what `other` does, of everything."""
        mine = (self.cpu, self.memory_gib, self.gpu, self.storage_gb)
        theirs = (other.cpu, other.memory_gib, other.gpu, other.storage_gb)
        return all(a >= b for a, b in zip(mine, theirs, strict=True))

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.deployment_minutes[0] > self.deployment_minutes[1]:
            raise ValueError("deployment_minutes must be [shortest, longest]")
        return self


class Prices(_Data):
    """Per month."""

    currency: Annotated[str, Field(min_length=1, max_length=4)]
    base: Price
    vcpu: Price
    memory_gib: Price
    gpu: Price
    storage_tb: Price


class _ServicesFile(_Data):
    policy: Policy
    services: Annotated[dict[Name, Service], Field(min_length=1)]


class _PresetsFile(_Data):
    """Presets stand in order, smallest first, so that "the smallest that fits" means one of them."""

    gpu_type: Name
    presets: Annotated[dict[Name, PresetGrant], Field(min_length=1)]
    prices: Prices

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for (small, less), (big, more) in pairwise(self.presets.items()):
            if not more.covers(less):
                raise ValueError(
                    f"presets: {big} grants less of something than {small}, which stands before it"
                )
        return self


class Catalogue(_ServicesFile, _PresetsFile):
    """All that sizing needs to know. `presets` is in ascending order."""


@cache
def default_catalogue() -> Catalogue:
    """The catalogue shipped in `rules/`, read once per process."""
    return load_catalogue(data_dir("rules"))


def load_catalogue(folder: Path) -> Catalogue:
    """The catalogue of `services.yaml` and `presets.yaml` in `folder`. Raises CatalogueError."""
    services = _read(folder / "services.yaml", _ServicesFile)
    presets = _read(folder / "presets.yaml", _PresetsFile)
    return Catalogue(**dict(services), **dict(presets))


def _read(path: Path, model: type[_File]) -> _File:
    try:
        document: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506
        return model.model_validate(document)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path}: is not YAML: {error}") from error
    except ValidationError as error:
        raise CatalogueError(f"{path}: {_first_problems(error)}") from error


def _first_problems(error: ValidationError) -> str:
    found = [f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors()]
    return "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")


class _StrictLoader(yaml.SafeLoader):
    """YAML lets the second of two equal keys win without a word; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)
