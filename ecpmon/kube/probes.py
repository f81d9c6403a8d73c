"""Probes and lifecycle hooks: what is asked of a container, how, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import (
    Causes,
    forbidden,
    invalid,
    needed,
    not_negative,
    of_messages,
    one_of,
    only_one,
    required,
)

PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_COUNTS: Final = (
    "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold",
)  # fmt: skip
_PROBE_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "sleep")
_SCHEMES: Final = ("HTTP", "HTTPS")


def probe_causes(container: Mapping[str, Any], at: str) -> Causes:
    """The three probes of a container that runs on."""
    for name in PROBES:
        probe = container.get(name)
        if probe is None:
            continue
        yield from _probe(probe, f"{at}.{name}")
        if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield invalid(f"{at}.{name}.successThreshold", probe["successThreshold"], "must be 1")
        if name == "readinessProbe" and "terminationGracePeriodSeconds" in probe:
            detail = "must not be set for readinessProbes"
            field = f"{at}.{name}.terminationGracePeriodSeconds"
            yield invalid(field, probe["terminationGracePeriodSeconds"], detail)


def _probe(probe: Mapping[str, Any], at: str) -> Causes:
    yield from _handlers(probe, _PROBE_HANDLERS, at)
    yield from not_negative(probe, _COUNTS, at)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        yield invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than 0")


def hook_causes(container: Mapping[str, Any], at: str, grace: int | None) -> Causes:
    """`lifecycle`; `grace` is how long the pod may take to end."""
    lifecycle = container.get("lifecycle") or {}
    for name in ("postStart", "preStop"):
        hook = lifecycle.get(name)
        if hook is None:
            continue
        where = f"{at}.lifecycle.{name}"
        yield from _handlers(hook, _HOOK_HANDLERS, where)
        seconds = hook["sleep"].get("seconds", 0) if "sleep" in hook else 0
        if "sleep" in hook and grace is not None and not 0 <= seconds <= grace:
            detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
            yield invalid(f"{where}.sleep", seconds, detail)


def _handlers(handler: Mapping[str, Any], known: tuple[str, ...], at: str) -> Causes:
    """Exactly one handler, and that one right."""
    present = [name for name in known if name in handler]
    if not present:
        yield required(at, "must specify a handler type")
        return
    yield from only_one(present, at, "handler type")
    check = _CHECKS.get(present[0])
    if check is not None:
        yield from check(handler[present[0]], f"{at}.{present[0]}")


def _exec(action: Mapping[str, Any], at: str) -> Causes:
    yield from needed(action, ("command",), at)


def _http(action: Mapping[str, Any], at: str) -> Causes:
    yield from needed(action, ("path",), at)
    yield from _port(action, at)
    yield from one_of(action, "scheme", _SCHEMES, at)
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        yield from of_messages(f"{at}.httpHeaders", name, names.header_name(name))


def _port(action: Mapping[str, Any], at: str) -> Causes:
    value = action.get("port", 0)
    yield from of_messages(f"{at}.port", value, names.port(value))


_CHECKS: Final = {"exec": _exec, "httpGet": _http, "tcpSocket": _port, "grpc": _port}


def forbidden_causes(container: Mapping[str, Any], at: str) -> Causes:
    """An init container that ends has no use for any of them."""
    for name in ("lifecycle", *PROBES):
        if name in container:
            yield forbidden(f"{at}.{name}", "may not be set for init containers without restartPolicy=Always")
