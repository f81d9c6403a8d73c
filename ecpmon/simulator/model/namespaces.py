"""Namespaces end in two phases: everything in them goes first."""

from __future__ import annotations

from typing import Final

from ecpmon.simulator.model.controllers import TERMINATION
from ecpmon.simulator.model.deploying import clear_namespace
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.times import timestamp

CLOSE: Final = "namespace:close"


def is_closing(draft: Draft, name: str) -> bool:
    found = draft.object(ObjectKey("namespaces", "", name))
    return found is not None and bool(found["metadata"].get("deletionTimestamp"))


def begin_close(draft: Draft, name: str) -> Document:
    """Empty the namespace; it is gone when its last pod has stopped. The answer is its document now."""
    key = ObjectKey("namespaces", "", name)
    found = draft.object(key)
    if found is None or found["metadata"].get("deletionTimestamp"):
        return found or {}
    clear_namespace(draft, name, graceful=True)
    metadata = {**found["metadata"], "deletionTimestamp": timestamp(draft.now)}
    document = draft.put_object(key, {**found, "metadata": metadata, "status": {"phase": "Terminating"}})
    draft.push(draft.now + TERMINATION, CLOSE, name)
    return document


def on_close(draft: Draft, name: str) -> None:
    """Remove the namespace itself, with what was written into it last."""
    key = ObjectKey("namespaces", "", name)
    found = draft.object(key)
    if found is None or not is_closing(draft, name):
        return
    clear_namespace(draft, name, graceful=False)
    draft.drop_object(key)
