"""The objectives of `rules/objectives.yaml`, which every tenant is given."""

from __future__ import annotations

from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ecpmon.errors import ValidationFailed
from ecpmon.model.objectives import Objective
from ecpmon.resources import data_dir, yaml_of


class _Defaults(BaseModel):
    model_config = ConfigDict(defer_build=True, extra="forbid")

    objectives: list[Objective]


@cache
def load_objectives(text: str | None = None) -> tuple[Objective, ...]:
    """The shipped defaults, or `text`. Raises ValidationFailed with one entry per bad field."""
    if text is None:
        text = (data_dir("rules") / "objectives.yaml").read_text(encoding="utf-8")
    try:
        found = _Defaults.model_validate(yaml_of(text)).objectives
    except yaml.YAMLError as error:
        raise ValidationFailed(f"the objectives are not YAML: {error}") from error
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
        raise ValidationFailed("the objectives are not as they should be", fields=fields) from error
    names = [o.name for o in found]
    if len(set(names)) != len(names):
        raise ValidationFailed("the objectives name one twice")
    return tuple(found)
