"""Shapes of JSON objects, as types that cost a start nothing: plain classes until somebody needs a model of them.

`TypedDict` is of what we say, `Model` of what we read. pydantic takes a millisecond for each, and there are dozens.
"""

from __future__ import annotations

import copyreg
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints

if TYPE_CHECKING:
    from pydantic import BaseModel
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


if TYPE_CHECKING:
    Model = BaseModel
else:

    class _Later(type):
        """A class that stands for its model: whatever is asked of it is the model's to answer."""

        def __getattr__(cls, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(model_of(cls), name)

        def __call__(cls, *given, **fields):
            return model_of(cls)(*given, **fields)

        def __instancecheck__(cls, thing):
            return isinstance(thing, model_of(cls))

    class Model(metaclass=_Later):
        """A model of pydantic, built when something is first asked of it. For mypy it is one from the beginning."""

        @classmethod
        def __get_pydantic_core_schema__(cls, _: Any, handler: Any) -> Any:
            return handler.generate_schema(model_of(cls))


@cache
def model_of(shape: type) -> type[BaseModel]:
    """The model that a class declares: a `Model`, or what has `__model__`, the model of the root of its kind."""
    from pydantic import BaseModel

    if shape is Model:
        return BaseModel
    if "__model__" in vars(shape):
        return cast(type[BaseModel], vars(shape)["__model__"])
    own = {name: value for name, value in vars(shape).items() if name not in ("__dict__", "__weakref__")}
    made: type[BaseModel] = _built()(shape.__name__, tuple(map(model_of, shape.__bases__)), own)
    _CLASSES[made] = shape
    return made


# Of each model the class that stands for it.
_CLASSES: Final[dict[type, type]] = {}


@cache
def _built() -> Any:
    """The class of the models: one that is sent to another process is found there by the class that stands for it."""
    from pydantic import BaseModel

    kind = type("Built", (type(BaseModel),), {})
    copyreg.pickle(kind, _reduced)
    return kind


def _reduced(made: type) -> tuple[Any, tuple[type]]:
    return model_of, (_CLASSES[made],)
