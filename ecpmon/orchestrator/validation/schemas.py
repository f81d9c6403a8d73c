"""Schemas of Kubernetes 1.28 to 1.37, strict, and small ones of our own for two custom resources.

What reads them is large, and imported when the first manifest is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ecpmon.orchestrator.validation.reading import Document
from ecpmon.orchestrator.validation.report import Finding

VERSIONS: Final = tuple(f"1.{minor}" for minor in range(28, 38))
_MAX_SHOWN: Final = 20
_MAX_LOOKED_AT: Final = 1_000
_SELECTOR: Final = {"type": "object", "minProperties": 1}
_CUSTOM: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        "properties": {
            "parentRefs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            "hostnames": {"type": "array", "items": {"type": "string"}},
            "rules": {"type": "array", "items": {"type": "object"}},
        },
    },
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {
        "required": ["selector", "endpoints"],
        "properties": {
            "selector": _SELECTOR,
            "endpoints": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"port": {"type": "string"}, "path": {"type": "string"}},
                },
            },
            "namespaceSelector": {"type": "object"},
            "targetLabels": {"type": "array", "items": {"type": "string"}},
        },
    },
    ("monitoring.coreos.com/v1", "PrometheusRule"): {
        "required": ["groups"],
        "properties": {
            "groups": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "rules": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["expr"],
                                "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
                            },
                        }
                    },
                },
            }
        },
    },
}


def schema_findings(document: Document, version: str) -> Iterator[Finding]:
    """Unknown kinds and every breach of the schema by path."""
    api, kind = document.body.get("apiVersion"), document.body.get("kind")
    if not isinstance(api, str) or not isinstance(kind, str) or not api or not kind:
        missing = "kind" if isinstance(api, str) and api else "apiVersion"
        yield document.error("SCHEMA", missing, f"every object needs a {missing}, as text")
        return
    checker = validator(api, kind, version)
    if checker is None:
        said = f"Kubernetes {version} has no {kind[:60]!r} in {api[:60]!r}; check both spellings"
        yield document.error("UNKNOWN_KIND", "kind", said)
        return
    some = islice(checker.iter_errors(document.body), _MAX_LOOKED_AT)
    breaches = sorted(some, key=lambda e: (list(map(str, e.path)), e.message))
    for breach in breaches[:_MAX_SHOWN]:
        path = ".".join(map(str, breach.path))
        yield document.error("SCHEMA", path, breach.message[:300])


@lru_cache(maxsize=512)  # the names come from strangers
def validator(api: str, kind: str, version: str) -> Any:
    """A compiled validator; None for a kind that this version does not have."""
    import jsonschema

    own = _CUSTOM.get((api, kind))
    if own is not None:
        spec = {"type": "object", **own}
        return jsonschema.Draft202012Validator(
            {"type": "object", "required": ["metadata", "spec"], "properties": {"spec": spec}}
        )
    # Only what can be a file's name reaches the folder of schemas.
    if not re.fullmatch(r"[a-z0-9.]{1,80}(/[a-z0-9]{1,20})?", api) or not re.fullmatch(
        r"[A-Za-z]{1,60}", kind
    ):
        return None
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api)
    path = _folder(version) / f"{kind.lower()}-{group}.json"
    if not path.is_file():
        return None
    schema = json.loads(path.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema, registry=_registry(version, path))


@cache
def _folder(version: str) -> Path:
    import kubernetes_validate.utils

    full = next(v for v in kubernetes_validate.utils.all_versions() if v.startswith(version + "."))
    package = Path(str(kubernetes_validate.__file__)).parent
    return package / "kubernetes-json-schema" / f"v{full}-local-strict"


@cache
def _definitions(version: str) -> Any:
    from referencing import Resource

    text = (_folder(version) / "_definitions.json").read_text(encoding="utf-8")
    return Resource.from_contents(json.loads(text))


def _registry(version: str, schema: Path) -> Any:
    from referencing import Registry, Resource

    definitions = _definitions(version)
    own = Resource.from_contents(json.loads(schema.read_text(encoding="utf-8")))
    return definitions @ (own @ Registry())
