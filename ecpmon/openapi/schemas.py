"""Declared shapes as JSON Schema: all of them at once, so that what several routes share stands in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from ecpmon.openapi.declaring import Json, model_of
from ecpmon.openapi.errors import ErrorDocument, document_of
from ecpmon.openapi.facts import Declared

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]
PLACE: Final = "#/components/schemas/"


class _Untitled(GenerateJsonSchema):
    """A field's name said once more with capitals tells nobody anything."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False


class Schemas:
    """`of(shape, mode)`: the schema of a shape that was among `table`'s; `error_of`: of one of the `codes`;
    `components`: what those refer to."""

    def __init__(self, table: Iterable[Declared], codes: Iterable[str]) -> None:
        table = list(table)
        told = (ErrorDocument, *map(document_of, codes))
        wanted: dict[tuple[int, Mode], Any] = {(id(shape), "serialization"): shape for shape in told}
        for route in table:
            wanted |= {(id(shape), mode): shape for shape, mode in _shapes_of(route)}
        self._shapes = wanted  # their ids are theirs as long as they are there
        self._queries = {id(query): model_of(query) for query in _queries_of(table)}
        models: list[tuple[int, Mode, TypeAdapter[Any]]] = [
            (number, mode, TypeAdapter(shape)) for (number, mode), shape in wanted.items()
        ]
        models += [(number, "validation", TypeAdapter(m)) for number, m in self._queries.items()]
        found, document = TypeAdapter.json_schemas(
            models, ref_template=PLACE + "{model}", schema_generator=_Untitled
        )
        self._found: dict[tuple[int, Mode], Schema] = dict(found)
        self.components: dict[str, Schema] = document.get("$defs", {})
        self._parameters = {n: self._taken_out(n) for n in self._queries}

    def of(self, shape: Any, mode: Mode) -> Schema:
        return self._found[id(shape), mode]

    @property
    def error(self) -> Schema:
        return self._found[id(ErrorDocument), "serialization"]

    def error_of(self, code: str) -> Schema:
        return self._found[id(document_of(code)), "serialization"]

    def query(self, query: type) -> Schema:
        """The schema of the whole query string, an object."""
        return self._parameters[id(query)]

    def resolved(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(PLACE)]
        return schema

    def _taken_out(self, number: int) -> Schema:
        """A query is told parameter by parameter, and is no component."""
        schema = self._found[number, "validation"]
        name = schema.get("$ref", "").removeprefix(PLACE)
        return self.components.pop(name) if name else schema


def _shapes_of(route: Declared) -> Iterator[tuple[Any, Mode]]:
    contract = route.contract
    if contract is None:
        return
    for kind in contract.kinds_of_body:
        if isinstance(kind, Json):
            yield kind.shape, "validation"
    for status in contract.answers:
        for kind in contract.kinds_of_answer(status):
            if isinstance(kind, Json):
                yield kind.shape, "serialization"
    for shape in contract.hears:
        yield shape, "validation"
    for shape in contract.says:
        yield shape, "serialization"


def _queries_of(table: Iterable[Declared]) -> list[type]:
    declared = (route.contract.query for route in table if route.contract is not None)
    return list(dict.fromkeys(query for query in declared if query is not None))
