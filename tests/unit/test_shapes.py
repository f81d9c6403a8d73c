"""Models that are built when they are first needed are models all the same."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Annotated, NotRequired

import pytest
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from ecpmon.shapes import Model, TypedDict, model_of


class Inner(Model):
    number: Annotated[int, Field(ge=1)] = 1


class Outer(Model):
    name: str
    inner: Inner = Field(default_factory=Inner)

    @field_validator("name")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must say something")
        return value

    def told(self) -> str:
        return f"{self.name} {self.inner.number}"


class Longer(Outer):
    inner: Inner = Field(default_factory=lambda: Inner(number=7))


class Base(TypedDict, total=False):
    at: datetime


class Shown(Base):
    name: str
    more: NotRequired[int]


def test_a_model_validates_has_methods_and_is_inherited() -> None:
    assert Outer(name="x").told() == "x 1"
    assert Longer.model_validate({"name": "x"}).told() == "x 7"
    assert isinstance(Longer(name="x"), Outer)
    assert list(Longer.model_fields) == ["name", "inner"]
    assert Outer.model_validate({"name": "x"}).model_fields_set == {"name"}
    for wrong in ({"name": " "}, {"name": "x", "inner": {"number": 0}}, {}):
        with pytest.raises(ValidationError):
            Outer.model_validate(wrong)


def test_what_was_read_is_sent_to_another_process() -> None:
    read = Longer(name="x", inner=Inner(number=3))
    assert pickle.loads(pickle.dumps(read)) == read
    assert type(pickle.loads(pickle.dumps(read))) is model_of(Longer)


def test_keys_of_an_answer_are_required_as_the_class_that_names_them_says() -> None:
    schema = TypeAdapter(list[Shown]).json_schema()["$defs"]["Shown"]
    assert (schema["required"], list(schema["properties"])) == (["name"], ["at", "name", "more"])
