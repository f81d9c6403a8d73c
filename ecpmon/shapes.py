"""Shapes of JSON objects, as types that cost a start nothing: plain classes until somebody needs a model of them."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from typing_extensions import TypedDict as TypedDict
else:

    class TypedDict(dict):
        """The shape of an answer: for mypy a TypedDict, at a start a class like any other.

        `typing`'s compiles every annotation where it stands, and pydantic takes it from Python 3.12 on only.
        """

        __total__ = True

        def __new__(cls, *given, **fields):
            if cls is not TypedDict or fields or len(given) != 2:
                return super().__new__(cls)
            # TypedDict("Change", {"from": str, …}): for names that are keywords of Python.
            name, annotations = given
            module = sys._getframe(1).f_globals["__name__"]
            return type(name, (TypedDict,), {"__annotations__": annotations, "__module__": module})

        def __init_subclass__(cls, *, total: bool = True) -> None:
            cls.__total__ = total

        @classmethod
        def __get_pydantic_core_schema__(cls, _: Any, handler: Any) -> Any:
            return handler.generate_schema(_typed_dict_of(cls))


@cache
def _typed_dict_of(shape: type) -> Any:
    """What pydantic understands. Its bases' keys are its own as well, required or not as each base says."""
    from typing import NotRequired, get_origin

    from typing_extensions import TypedDict

    fields: dict[str, Any] = {}
    for cls in reversed(shape.__mro__):
        hints = get_type_hints(cls, include_extras=True) if "__annotations__" in vars(cls) else {}
        for name in vars(cls).get("__annotations__", ()):
            optional = not vars(cls).get("__total__", True) and get_origin(hints[name]) is not NotRequired
            fields[name] = NotRequired[hints[name]] if optional else hints[name]
    made = TypedDict(shape.__name__, fields)  # type: ignore[misc]
    made.__module__, made.__qualname__ = shape.__module__, shape.__qualname__
    made.__doc__ = shape.__doc__
    return made
