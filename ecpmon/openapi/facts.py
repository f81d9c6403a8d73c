"""What a document says beside what its routes declare: whose it is, which errors, headers and callers there are."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from ecpmon.openapi.declaring import Contract
from ecpmon.openapi.errors import Refusal

# In paths, as aiohttp writes them.
PARAMETER: Final = re.compile(r"\{(\w+)\}")
HERE: Final[Mapping[str, str]] = {"url": "/", "description": "Where this document comes from."}


class Declared(Protocol):
    """A route, as far as it concerns the document. `socket`: a WebSocket."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def handler(self) -> Callable[..., Any]: ...

    @property
    def summary(self) -> str: ...

    @property
    def socket(self) -> bool: ...

    @property
    def contract(self) -> Contract | None: ...


R = TypeVar("R", bound=Declared)


class Facts(ABC, Generic[R]):
    """One service's; whoever serves routes says his own.

    `paths`: parameters of paths by name, as JSON Schema with description and examples. `taken`, `given`: headers of
    requests and answers by name. `refusals`: every error by its code. `tags`: modules that stand under another's name.
    `schemes`: how callers say who they are.
    """

    title: str
    summary: str
    description: str
    paths: Mapping[str, Mapping[str, Any]]
    taken: Mapping[str, Mapping[str, Any]]
    given: Mapping[str, Mapping[str, Any]]
    refusals: Mapping[str, Refusal]
    servers: Sequence[Mapping[str, str]] = (HERE,)
    tags: Mapping[str, str] = MappingProxyType({})
    schemes: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def refused(self, route: R) -> Mapping[int, tuple[str, ...]]:
        """The codes of its errors, by status: those that it declares, and those of every route of its kind."""

    @abstractmethod
    def takes(self, route: R) -> tuple[str, ...]:
        """Headers that a request may carry beside those that the route declares."""

    @abstractmethod
    def gives(self, status: int, route: R | None) -> tuple[str, ...]:
        """Headers of an answer beside those that the route declares; None: of an error that many routes give."""

    def told(self, route: R) -> Mapping[str, Any]:
        """Further members of its operation, such as who may call it."""
        return {}

    def note(self, route: R) -> str:
        """A last paragraph of its description; empty: none."""
        return ""

    def closes(self, contract: Contract) -> Mapping[int, str]:
        """Why a socket is closed, by code."""
        return contract.closes or {}

    def recorded(self, method: str, path: str, what: str) -> Any:
        """An example that was sent or answered (`what`: `body`, or a status); None: none was kept."""
        return None
