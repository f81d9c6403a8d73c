"""The parameters of list, watch and write requests, read and checked once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ecpmon.kube.causes import Cause, unsupported
from ecpmon.simulator.kube.checking import IGNORE, STRICT, WARN, Write
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.selectors import Predicate, both, exact_name, field_selector, label_selector
from ecpmon.simulator.kube.status import bad_request, invalid

_TRUE = {"1", "t", "true"}
_FALSE = {"", "0", "f", "false"}


@dataclass(frozen=True, slots=True)
class ListOptions:
    """`name` is set when exactly one object is asked for; `version` is None when the client names none."""

    wanted: Predicate | None
    name: str | None
    limit: int
    token: tuple[int, str] | None
    version: int | None
    match: str
    include: str
    selects: bool


@dataclass(frozen=True, slots=True)
class WatchOptions:
    bookmarks: bool
    initial: bool | None
    timeout: float | None


def list_options(target: Target, query: Mapping[str, str]) -> ListOptions:
    """ApiError 400 for selectors, numbers and tokens that cannot be read."""
    resource = target.resource
    labels = label_selector(query.get("labelSelector", ""))
    fields = field_selector(resource, query.get("fieldSelector", ""))
    name = target.name or exact_name(query.get("fieldSelector", "")) or None
    token = query.get("continue", "")
    return ListOptions(
        wanted=both(labels, fields),
        name=name,
        limit=number(query, "limit") or 0,
        token=_read_token(token) if token else None,
        version=number(query, "resourceVersion"),
        match=query.get("resourceVersionMatch", ""),
        include=query.get("includeObject", ""),
        selects=labels is not None or fields is not None,
    )


def watch_options(query: Mapping[str, str]) -> WatchOptions:
    """ApiError 400 for what cannot be read, 422 for a combination that makes no sense."""
    initial = flag(query, "sendInitialEvents") if "sendInitialEvents" in query else None
    match = query.get("resourceVersionMatch", "")
    problem = ""
    if match and initial is None:
        problem = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
    elif initial is not None and match != "NotOlderThan":
        problem = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
    if problem:
        cause = Cause("FieldValueForbidden", f"Forbidden: {problem}", "resourceVersionMatch")
        raise invalid("ListOptions", "meta.k8s.io", "", [cause])
    seconds = number(query, "timeoutSeconds")
    return WatchOptions(flag(query, "allowWatchBookmarks"), initial, float(seconds) if seconds else None)


def number(query: Mapping[str, str], name: str) -> int | None:
    """A whole number of at least 0, None when absent or empty."""
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request(f'Invalid value for {name}: "{text}" is not a whole number')
    return int(text)


def flag(query: Mapping[str, str], name: str) -> bool:
    """A truth value as Go reads it."""
    text = query.get(name, "").lower()
    if text not in _TRUE | _FALSE:
        raise bad_request(f'Invalid value for {name}: "{text}" is not a truth value')
    return text in _TRUE


def dry_run(query: Mapping[str, str], options: Mapping[str, object]) -> bool:
    """Whether nothing may be stored; ApiError 422 for another word than All."""
    asked = query.get("dryRun") or options.get("dryRun") or ""
    values = asked if isinstance(asked, list) else [asked] if asked else []
    if any(value != "All" for value in values):
        raise invalid("Options", "meta.k8s.io", "", [unsupported("dryRun", asked, ["All"])])
    return bool(values)


def write_of(query: Mapping[str, str], user_agent: str) -> Write:
    """Who writes and how strictly."""
    validation = query.get("fieldValidation") or WARN
    if validation not in (STRICT, WARN, IGNORE):
        cause = unsupported("fieldValidation", validation, [IGNORE, STRICT, WARN])
        raise invalid("Options", "meta.k8s.io", "", [cause])
    manager = query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
    if len(manager) > 128 or not manager.isprintable():
        cause = Cause("FieldValueTooLong", "Too long: may not be more than 128 bytes", "fieldManager")
        raise invalid("Options", "meta.k8s.io", "", [cause])
    return Write(manager, validation, flag(query, "force"))


def page_token(revision: int, last: str) -> str:
    """What `continue` carries: the state that the list was made from, and the last key that was given."""
    return base64.urlsafe_b64encode(orjson.dumps({"rv": revision, "after": last})).decode()


def _read_token(text: str) -> tuple[int, str]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(text.encode()))
        return int(found["rv"]), str(found["after"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid: it must come from a list of this server") from None
