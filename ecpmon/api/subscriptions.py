"""What a client may say into a socket."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictInt, StrictStr

from ecpmon.api.answers.live import Pong
from ecpmon.api.common import parse_model
from ecpmon.api.keys import asked_key
from ecpmon.api.live import DEFAULT_INTERVAL_MS, Subscription
from ecpmon.errors import BadRequest
from ecpmon.shapes import Model


class Subscribe(Model):
    """`metrics`: absent for all of them; `interval`: milliseconds between messages. Replaces what was said before."""

    model_config = ConfigDict(extra="ignore")

    action: Literal["subscribe"]
    metrics: (
        Annotated[list[Annotated[StrictStr, Field(min_length=1, max_length=100)]], Field(min_length=1)] | None
    ) = None
    interval: Annotated[StrictInt, Field(ge=100, le=3_600_000)] = DEFAULT_INTERVAL_MS


def take(subscription: Subscription, message: Any) -> Pong | None:
    """Apply a client's message; the answer, if it needs one. Raises EcpError."""
    action = message.get("action") if isinstance(message, dict) else None
    match action:
        case "ping":
            return {"action": "pong"}
        case "unsubscribe":
            subscription.interval = None
            return None
        case "subscribe":
            wanted = parse_model(message, Subscribe)
            subscription.metrics = frozenset(map(asked_key, wanted.metrics)) if wanted.metrics else None
            subscription.interval = wanted.interval / 1000
            return None
    raise BadRequest("the action must be subscribe, unsubscribe or ping")


def only_ping(message: Any) -> Pong | None:
    """For sockets that need no subscription. Raises BadRequest."""
    if isinstance(message, dict) and message.get("action") == "ping":
        return {"action": "pong"}
    if isinstance(message, dict) and message.get("action") in ("subscribe", "unsubscribe"):
        return None
    raise BadRequest("the action must be ping")
