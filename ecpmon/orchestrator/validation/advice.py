"""What works and is still not wise, container by container; and what a quota would miss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from ecpmon.kube.amounts import amount
from ecpmon.kube.reckoning import Side, stated
from ecpmon.kube.shapes import items, mapping
from ecpmon.kube.templates import PodTemplate
from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding
from ecpmon.orchestrator.validation.surroundings import Surroundings, port_names

_IMAGE: Final = re.compile(
    r"(?:(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})?"
)
_LONGEST_IMAGE: Final = 500
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
# Seconds between two checks, and before the first one.
_SHORTEST: Final = {"periodSeconds": 10, "initialDelaySeconds": 5}
_SIDES: Final[tuple[Side, ...]] = ("requests", "limits")


def container_findings(document: Document, around: Surroundings) -> Iterator[Finding]:
    for template in document.templates:
        if template.unseen:
            continue
        defaults = around.limit_ranges.get(document.namespace, [])
        for part, path, container in template.containers():
            yield from _image(document, f"{path}.image", container.get("image"))
            yield from _environment(document, f"{path}.env", items(container.get("env")))
            yield from _probes(document, path, container)
            yield from _milli_memory(document, f"{path}.resources", mapping(container.get("resources")))
            if part in ("containers", "initContainers"):
                yield from _unstated(document, template, path, container, defaults, around)
            if part == "containers" and template.long:
                yield from _unprobed(document, path, container)
        yield from _milli_memory(
            document, f"{template.path}.resources", mapping(template.spec.get("resources"))
        )


def _image(document: Document, path: str, image: Any) -> Iterator[Finding]:
    if not isinstance(image, str) or not image:
        return
    if len(image) > _LONGEST_IMAGE or not _IMAGE.fullmatch(image):
        yield document.warning("IMAGE_NAME", path, image=image[:80])
        return
    if "@" in image:
        return
    tag = image.rpartition("/")[2].partition(":")[2]
    if tag in ("", "latest"):
        yield document.warning("LATEST_TAG", path)


def _environment(document: Document, path: str, variables: list[Any]) -> Iterator[Finding]:
    seen: set[str] = set()
    for number, variable in enumerate(variables):
        name = mapping(variable).get("name")
        if isinstance(name, str) and name in seen:
            yield document.warning("DUPLICATE_ENV", f"{path}.{number}.name", name=name[:60])
        seen.add(str(name))


def _probes(document: Document, path: str, container: dict[str, Any]) -> Iterator[Finding]:
    names = port_names([container])
    for probe in _PROBES:
        asked = mapping(container.get(probe))
        for way in ("httpGet", "tcpSocket"):
            port = mapping(asked.get(way)).get("port")
            if isinstance(port, str) and port not in names and not port.isdigit():
                yield document.warning("PROBE_PORT", f"{path}.{probe}.{way}.port", port=port[:60])
    liveness = mapping(container.get("livenessProbe"))
    for name, least in _SHORTEST.items():
        seconds = liveness.get(name)
        if isinstance(seconds, int) and 0 < seconds < least:
            where = f"{path}.livenessProbe.{name}"
            yield document.warning("SHORT_LIVENESS", where, seconds=seconds, least=least)


def _unprobed(document: Document, path: str, container: dict[str, Any]) -> Iterator[Finding]:
    for probe in ("livenessProbe", "readinessProbe"):
        if probe not in container:
            yield document.warning("MISSING_PROBE", f"{path}.{probe}", probe=probe)


def _milli_memory(document: Document, path: str, resources: dict[str, Any]) -> Iterator[Finding]:
    for side in _SIDES:
        memory = str(mapping(resources.get(side)).get("memory", ""))
        if memory.endswith("m"):
            yield document.warning("MILLI_MEMORY", f"{path}.{side}.memory", value=memory[:40])


def _unstated(
    document: Document, template: PodTemplate, path: str, container: dict[str, Any],
    defaults: list[dict[str, Any]], around: Surroundings,
) -> Iterator[Finding]:  # fmt: skip
    """What neither the container says nor its pod; whether a quota insists on it."""
    own, completed = stated(container), stated(container, defaults)
    level = stated(template.spec)
    for side in _SIDES:
        for name in ("cpu", "memory"):
            if name in own[side] or name in level[side]:
                continue
            where, what = f"{path}.resources.{side}.{name}", f"{name} {side}"
            quota = None if name in completed[side] else _insisting(document, around, side, name)
            if quota is None:
                yield document.warning("MISSING_RESOURCES", where, what=what)
            else:
                yield document.error("UNSTATED_RESOURCES", where, what=what, quota=quota)
    for name, request in own["requests"].items():
        limit = completed["limits"].get(name)
        if name not in own["limits"] and limit is not None and amount(request) > amount(limit):
            where = f"{path}.resources.requests.{name}"
            yield document.error("REQUEST_OVER_LIMIT", where, request=str(request), limit=str(limit))


def _insisting(document: Document, around: Surroundings, side: Side, name: str) -> str | None:
    """The name of a quota that refuses pods without it."""
    spellings = (f"{side}.{name}", name) if side == "requests" else (f"{side}.{name}",)
    for quota in around.quotas.get(document.namespace, []):
        if any(spelling in mapping(quota.spec.get("hard")) for spelling in spellings):
            return quota.name
    return None
