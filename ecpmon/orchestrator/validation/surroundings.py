"""What a manifest's objects know of one another: pods by label, counts under autoscalers, limits by namespace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from ecpmon.kube.shapes import group_of, items, mapping, whole
from ecpmon.kube.templates import PodTemplate
from ecpmon.orchestrator.validation.reading import Document

SCALERS: Final = ("HorizontalPodAutoscaler", "ScaledObject")
_KEDA_MOST: Final = 100  # maxReplicaCount of a ScaledObject that does not say


@dataclass(frozen=True, slots=True)
class Ports:
    """`silent`: whether a container names none, so that it may listen anywhere."""

    names: frozenset[str]
    numbers: frozenset[int]
    silent: bool


@dataclass(frozen=True)
class Surroundings:
    """`nodes`: how many run the pods of a DaemonSet."""

    documents: Sequence[Document]
    nodes: int = 1

    @cached_property
    def pods(self) -> list[tuple[Document, PodTemplate]]:
        return [(d, t) for d in self.documents for t in d.templates]

    @cached_property
    def _by_label(self) -> dict[tuple[str, str, str], set[int]]:
        found: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        for number, (document, template) in enumerate(self.pods):
            for key, value in template.labels.items():
                found[(document.namespace, str(key), str(value))].add(number)
        return found

    def selected(self, namespace: str, selector: dict[str, Any]) -> frozenset[int]:
        """Which of `pods` have all of these labels; none for no selector."""
        sets = [
            self._by_label.get((namespace, str(k), str(v)), frozenset[int]()) for k, v in selector.items()
        ]
        return frozenset(min(sets, key=len).intersection(*sets)) if sets else frozenset()

    # Hundreds of budgets or services may select the same hundreds of templates: what is known of them is found once.
    @cached_property
    def _counts(self) -> dict[frozenset[int], int]:
        return {}

    @cached_property
    def _ports(self) -> dict[frozenset[int], Ports]:
        return {}

    def count_of(self, selected: frozenset[int]) -> int:
        """How many pods these templates make."""
        if selected not in self._counts:
            self._counts[selected] = sum(self.count(*self.pods[n]) for n in selected)
        return self._counts[selected]

    def ports_of(self, selected: frozenset[int]) -> Ports:
        """What the containers of these templates say of their ports."""
        if selected not in self._ports:
            self._ports[selected] = _ports_of(
                [c for n in selected for _, _, c in self.pods[n][1].containers()]
            )
        return self._ports[selected]

    @cached_property
    def by_name(self) -> dict[tuple[str, str, str], Document]:
        """By namespace, kind and name."""
        return {(d.namespace, d.kind, d.name): d for d in reversed(self.documents)}

    @cached_property
    def scalers(self) -> dict[tuple[str, str, str], Document]:
        """The first autoscaler of each target: (namespace, kind, name)."""
        found: dict[tuple[str, str, str], Document] = {}
        for d in self.documents:
            if d.kind in SCALERS:
                found.setdefault(target_of(d), d)
        return found

    def count(self, document: Document, template: PodTemplate) -> int:
        """How many pods there are before anybody asks anything of them."""
        if template.per_node:
            return self.nodes
        scaler = self.scalers.get((document.namespace, document.kind, document.name))
        if scaler is None or (template.pods == 0 and "replicas" in document.spec):
            return template.pods
        low, high = _bounds(scaler)
        return max(low, min(template.pods, high))

    @cached_property
    def limit_ranges(self) -> dict[str, list[dict[str, Any]]]:
        """The items for containers, by namespace."""
        return self._gathered("LimitRange", lambda d: [
            i for i in items(d.spec.get("limits")) if mapping(i).get("type") == "Container"
        ])  # fmt: skip

    @cached_property
    def quotas(self) -> dict[str, list[Document]]:
        """Those of all pods, by namespace: one with scopes counts only some."""
        return self._gathered("ResourceQuota", lambda d: [
            d for _ in (1,) if not d.spec.get("scopes") and not d.spec.get("scopeSelector")
        ])  # fmt: skip

    def _gathered(self, kind: str, parts: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for d in self.documents:
            if d.kind == kind and d.group == "":
                found[d.namespace] += parts(d)
        return found


def target_of(scaler: Document) -> tuple[str, str, str]:
    target = mapping(scaler.spec.get("scaleTargetRef"))
    return scaler.namespace, str(target.get("kind") or "Deployment"), str(target.get("name", ""))


def _bounds(scaler: Document) -> tuple[int, int]:
    spec = scaler.spec
    if group_of(scaler.body) == "autoscaling":
        low = whole(spec.get("minReplicas"), 1)
        return low, max(low, whole(spec.get("maxReplicas"), low))
    low = whole(spec.get("minReplicaCount"), 0)
    return low, max(low, whole(spec.get("maxReplicaCount"), _KEDA_MOST))


def port_names(containers: Iterable[dict[str, Any]]) -> set[str]:
    """The names of all ports that these containers declare."""
    return {
        str(mapping(port)["name"])
        for container in containers
        for port in items(container.get("ports"))
        if mapping(port).get("name")
    }


def _ports_of(containers: list[dict[str, Any]]) -> Ports:
    given = [mapping(p).get("containerPort") for c in containers for p in items(c.get("ports"))]
    return Ports(
        frozenset(port_names(containers)),
        frozenset(number for number in given if isinstance(number, int)),
        any(not c.get("ports") for c in containers),
    )
