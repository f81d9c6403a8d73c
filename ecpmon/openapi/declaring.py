"""What a route takes and gives, declared beside its handler (docs/contract.md): one declaration, by which requests are
checked, `/openapi.json` is made, and in the tests every answer is compared.

Nothing here costs a start: shapes are plain classes until somebody needs a model of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Final, TypeVar, cast

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ValidationError

from ecpmon.errors import MAX_FIELDS, EcpError, ValidationFailed, shortened, told
from ecpmon.shapes import Model as Model
from ecpmon.shapes import TypedDict as TypedDict
from ecpmon.shapes import model_of as model_of

_MAX_PATH: Final = 200
# Names in a query string that are looked at: each is compared with all that are known.
_MAX_NAMES: Final = 10
_MAX_NAME: Final = 40
Q = TypeVar("Q", bound="Query")


class Query:
    """What may stand in a query string: annotations and defaults as in a model of pydantic, and its validators.

    Other names, and a name that is given twice, are refused: a filter with a typo would show everything.
    """

    __model__: ClassVar[type[BaseModel]] = BaseModel


def read_query(request: web.Request, query: type[Q]) -> Q:
    """The query string as `query`. Raises ValidationFailed with one entry per bad field."""
    check_names(request, names_of(query))
    return parse_query(dict(request.query), query)


def names_of(query: type[Query]) -> frozenset[str]:
    """What may stand in it."""
    return _names(cast(Any, query))


@cache
def _names(query: Any) -> frozenset[str]:
    return frozenset(f.alias or name for name, f in model_of(query).model_fields.items())


def check_names(request: web.Request, known: frozenset[str]) -> None:
    """Raises ValidationFailed for names in the query string that are none of `known`, and for those given twice."""
    names = [name for name, _ in request.query.items()]
    if len(names) == len(set(names)) and known.issuperset(names):
        return
    fields = [
        {"field": shortened(name, _MAX_PATH), "message": problem}
        for name in list(dict.fromkeys(names))[:_MAX_NAMES]
        if (problem := _problem_of(name, known, names.count(name))) is not None
    ]
    raise ValidationFailed(told(fields), fields=fields)


def _problem_of(name: str, known: frozenset[str], times: int) -> str | None:
    if name in known:
        return "is given more than once" if times > 1 else None
    from difflib import get_close_matches

    if not known:
        return "is no parameter here, nor is any other"
    if near := get_close_matches(name[:_MAX_NAME], sorted(known), 1):
        return f"is no parameter here (did you mean `{near[0]}`?)"
    return f"is no parameter here (known: {', '.join(f'`{each}`' for each in sorted(known))})"


def parse_query(given: Mapping[str, str], query: type[Q]) -> Q:
    try:
        return cast(Q, model_of(cast(type, query)).model_validate(given))
    except ValidationError as error:
        fields = field_errors(error)
        raise ValidationFailed(told(fields), fields=fields) from error


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """One `{field, message}` per bad field, as ValidationFailed takes them."""
    return [
        {
            "field": shortened(".".join(map(str, e["loc"])), _MAX_PATH),
            "message": e["msg"].removeprefix("Value error, "),
        }
        for e in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_FIELDS]
    ]


def _true_or_false(text: object) -> object:
    if not isinstance(text, str):
        return text
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


# Of a query string: pydantic would take `yes`, `1` and `on` as well.
Flag = Annotated[bool, BeforeValidator(_true_or_false)]


@dataclass(frozen=True, slots=True)
class Json:
    """An answer, or a body, with more said of it than its shape. `headers`: of the answer, by name (`openapi.headers`).

    `example`: where none can be made of the shape's own.
    """

    shape: Any
    headers: tuple[str, ...] = ()
    example: Any = None
    description: str = ""
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Text:
    """An answer, or a body, that is no JSON: text, or with `binary` bytes."""

    media_type: str
    headers: tuple[str, ...] = ()
    example: str | None = None
    description: str = ""
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """A body that may be absent, or of one of several kinds."""

    kinds: tuple[Any, ...]
    required: bool = False


def optional(*kinds: Any) -> Body:
    """`body=optional(RotationBody)`: an absent one is as one without fields."""
    return Body(kinds)


class Says(TypedDict, total=False):
    """What a route may say of itself: `Contract` explains each."""

    query: type[Query]
    body: Any
    answers: Mapping[int, Any]
    refuses: tuple[type[EcpError], ...]
    takes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contract:
    """What a route takes and gives, beside what every route of its permission does (`openapi.refusals`).

    `answers`: by status the shape of the JSON, `Json`, `Text`, a tuple of these when the caller chooses, or None for
    no body. `takes`: names of request headers. `hears`, `says` of a socket: the shapes of what the client and we send.
    `closes`: why we close it, by code, beside what every socket is closed for.
    """

    answers: Mapping[int, Any]
    query: type[Query] | None = None
    body: Any = None
    refuses: tuple[type[EcpError], ...] = ()
    takes: tuple[str, ...] = ()
    hears: tuple[Any, ...] = ()
    says: tuple[Any, ...] = ()
    closes: Mapping[int, str] | None = None

    def kinds_of_answer(self, status: int) -> tuple[Json | Text, ...]:
        """What an answer of that status may be; empty: it has no body."""
        return _kinds(self.answers[status])

    @property
    def kinds_of_body(self) -> tuple[Json | Text, ...]:
        return _kinds(self.body.kinds if isinstance(self.body, Body) else self.body)

    @property
    def needs_body(self) -> bool:
        return self.body is not None and (not isinstance(self.body, Body) or self.body.required)


def _kinds(declared: Any) -> tuple[Json | Text, ...]:
    several = declared if isinstance(declared, tuple) else (declared,)
    return tuple(k if isinstance(k, Json | Text) else Json(k) for k in several if k is not None)
