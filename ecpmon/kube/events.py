"""Events: what somebody says has happened to an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, Document, invalid, of_messages, placed, required

_LONGEST: Final = 128
_LONGEST_NOTE: Final = 1_024
# Namespaces in which events of what belongs to the whole cluster are kept.
_OF_CLUSTER: Final = ("default",)
_OF_CLUSTER_NEW: Final = ("default", "kube-system")


def event_causes(document: Document, _: Document | None) -> Causes:
    """An Event of the core group."""
    namespace = document["metadata"].get("namespace", "")
    about = (document.get("involvedObject") or {}).get("namespace", "")
    is_new = bool(document.get("eventTime"))
    fits = about == namespace or (not about and namespace in _OF_CLUSTER)
    if is_new:
        fits = bool(about) or namespace in _OF_CLUSTER_NEW
    if namespace and not fits:  # one that says none gets that of the request
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")
    if is_new:
        yield from _told(document)
    if namespace:
        found = of_messages("namespace", namespace, names.dns_subdomain(namespace))
        yield from placed("metadata.namespace", found)


def _told(document: Mapping[str, Any]) -> Causes:
    """What new events have to say."""
    reporter = document.get("reportingComponent", "")
    if not reporter:
        yield required("reportingComponent")
    yield from of_messages("reportingComponent", reporter, names.qualified_name(reporter))
    for key in ("reportingInstance", "action", "reason"):
        if not document.get(key):
            yield required(key)
        elif len(document[key].encode()) > _LONGEST:
            yield invalid(key, "", f"can have at most {_LONGEST} characters")
    if len(document.get("message", "").encode()) > _LONGEST_NOTE:
        yield invalid("message", "", f"can have at most {_LONGEST_NOTE} characters")
