"""Objects as text: equal objects give equal bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from ecpmon.orchestrator.manifests.options import Manifest


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # kubectl's YAML reads more bare words as numbers and booleans than PyYAML does (1e3, 0o7, y).
    risky = re.match(r"[0-9.+-]", value) or value.lower() in ("y", "n")
    style = "|" if "\n" in value else '"' if risky else None  # whole files are read by people
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _string)


def to_yaml(objects: Iterable[Manifest]) -> str:
    """A multi-document stream; keys in the objects' own order, no anchors."""
    return yaml.dump_all(
        list(objects), Dumper=_Dumper, sort_keys=False, explicit_start=True, allow_unicode=True, width=1000
    )


def to_json(objects: Iterable[Manifest]) -> str:
    """A `v1` List, which kubectl applies too."""
    return json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": list(objects)}, indent=2, ensure_ascii=False
    )
