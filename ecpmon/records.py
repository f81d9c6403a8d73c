"""`dataclass` as the standard library has it, whose methods are compiled when they are first called.

The standard library's compiles six functions for each class when its module is read. That was a fifth of a start: there
are hundreds of classes, and a process makes objects of some. Here a class has its fields and slots at once; `__init__`,
and the rest together, are taken from the standard library's when somebody first calls one of them. After that nothing
is different. Not for classes with an `InitVar`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, slots=False, eq=True, order=False):
        """As `dataclasses.dataclass`, of whose options these are what we need."""

        def made(cls):
            return _made(cls, frozen=frozen, slots=slots, eq=eq, order=order)

        return made if cls is None else made(cls)


_COMPARED: Final = ("__lt__", "__le__", "__gt__", "__ge__")


def _made(cls: type, *, frozen: bool, slots: bool, eq: bool, order: bool) -> type:
    if not cls.__doc__:
        cls.__doc__ = (
            cls.__name__
        )  # else it would be made of a signature, which takes longer than all the rest
    own = cls.__dict__
    hashes = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
    late = ["__repr__", *(["__eq__"] if eq else []), *(_COMPARED if order else ())]
    late = [name for name in late if name not in own]
    if eq and not hashes:
        if frozen:
            late.append("__hash__")
        else:
            cls.__hash__ = None  # type: ignore[assignment]
    with_init = "__init__" not in own
    cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    if with_init:
        _set_late(cls, ("__init__",), lambda: _with_init(cls, frozen=frozen))
    _set_late(cls, late, lambda: _with_the_rest(cls, eq=eq, order=order, hashed="__hash__" in late))
    if frozen:
        cls.__setattr__ = _no_assignment  # type: ignore[assignment,method-assign]
        cls.__delattr__ = _no_deletion  # type: ignore[assignment,method-assign]
        if slots:
            for name, method in (("__getstate__", _state), ("__setstate__", _set_state)):
                if name not in cls.__dict__:
                    setattr(cls, name, method)
    return cls


def _set_late(cls: type, names: Collection[str], make: Callable[[], type]) -> None:
    """Each of `names` is a method that first replaces all of them by those of the class that `make` gives."""

    def of(name: str) -> Callable[..., Any]:
        def first(self: Any, *args: Any, **named: Any) -> Any:
            made = make()
            for each in names:
                method = made.__dict__[each]
                method.__qualname__ = f"{cls.__qualname__}.{each}"
                setattr(cls, each, method)
            return cls.__dict__[name](self, *args, **named)

        first.__name__ = name
        return first

    for name in names:
        setattr(cls, name, of(name))


def _with_init(cls: type, *, frozen: bool) -> type:
    space = {"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {}
    return _like(cls, space, repr=False, eq=False, frozen=frozen)


def _with_the_rest(cls: type, *, eq: bool, order: bool, hashed: bool) -> type:
    return _like(cls, {}, init=False, eq=eq, order=order, unsafe_hash=hashed)


def _like(cls: type, space: dict[str, Any], **options: Any) -> type:
    """A class of the standard library's with the same fields."""
    fields = [(field.name, field.type, _again(field)) for field in dataclasses.fields(cls)]
    space["__doc__"] = cls.__doc__
    return dataclasses.make_dataclass(cls.__name__, fields, namespace=space, **options)


def _again(field: dataclasses.Field[Any]) -> Any:
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "kw_only")
    return dataclasses.field(**{name: getattr(field, name) for name in names})


def _no_assignment(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _no_deletion(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
