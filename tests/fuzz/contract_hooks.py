"""What schemathesis needs to know about our documents (`outside`); it runs in a process of its own."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from schemathesis.core import deserialization
from schemathesis.specs.openapi.checks import negative_data_rejection

# The token that asks: whoever ends it, or takes its roles, ends the run.
OWN = os.environ.get("CONTRACT_TOKEN_ID", "")


# What cannot be taken of these costs the rest nothing: the answer is 202 or 200, and counts it.
PARTLY = frozenset(os.environ.get("CONTRACT_PARTLY", "").split(","))


# Of a stream of several YAML documents schemathesis (4.32) wants to make one object, and its worker ends for that with
# most of the routes unasked, which nothing tells. It is a text, as the document says.
deserialization.deserialize_yaml = str


@schemathesis.serializer("application/x-protobuf")
def protobuf(ctx: Any, value: Any) -> Any:
    """Bytes as they were made up."""
    return (
        bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode("utf-8", "surrogatepass")
    )


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: Any) -> None:
    if str((case.path_parameters or {}).get("token_id")) == OWN:
        case.path_parameters["token_id"] = 2**62


@schemathesis.check
def nothing_wrong_is_taken_in_silence(ctx: Any, response: Any, case: Any) -> bool | None:
    """Where the answer counts what was refused, what does not fit is among it."""
    if case.operation.label not in PARTLY or (
        response.status_code in (200, 202) and response.json()["rejected_count"]
    ):
        return None
    return negative_data_rejection(ctx, response, case)


@schemathesis.check
class operations_are_reached:
    """Most succeed once at least, so that what is behind their checks was asked. Some need what only others can do."""

    def __init__(self) -> None:
        self.asked: set[str] = set()
        self.reached: set[str] = set()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        self.asked.add(case.operation.label)
        if 200 <= response.status_code < 400:
            self.reached.add(case.operation.label)

    def after_run(self, ctx: Any) -> None:
        missing = self.asked - self.reached
        if len(missing) > len(self.asked) // 4:
            raise AssertionError("never answered 2xx: " + ", ".join(sorted(missing)))
