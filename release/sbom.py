"""The bill of materials, CycloneDX 1.6: the lock's distributions, the pages' JavaScript, and the font, with licences.

The same commit gives the same bytes in the same environment: its time is the commit's, and it has no serial number.
A distribution has a hash per file, which stand in the lock; a package of JavaScript has one.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from release.licences import listed
from release.locked import LOCK, ROOT, pins

_LICENCES = LicenseFactory()


def bill(version: str, now: datetime) -> str:
    """The document for ecpmon `version`; `now` is the time of its commit, UTC. Raises NoLicence."""
    bom = Bom()
    bom.metadata.timestamp = now
    own = _component("ecpmon", version, "Apache-2.0", "pypi", kind=ComponentType.APPLICATION)
    bom.metadata.component = own
    parts = [*_python(), *_javascript(), _font()]
    for part in parts:
        bom.components.add(part)
        bom.register_dependency(part)
    bom.register_dependency(own, parts)
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["serialNumber"]
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _python() -> list[Component]:
    licences = listed()
    return [
        _component(pin.name, pin.version, licences[pin.name], "pypi")
        for pin in pins(LOCK.read_text())
        if pin.name in licences
    ]


def _javascript() -> list[Component]:
    packages = json.loads((ROOT / "ui" / "lock.json").read_bytes())["packages"]
    return [
        _component(
            one["name"].rpartition("/")[2], one["version"], one["license"], "npm",
            group=one["name"].rpartition("/")[0], sha512=base64.b64decode(one["integrity"][7:]).hex(),
        )
        for one in packages
    ]  # fmt: skip


def _font() -> Component:
    return Component(
        name="NanumSquareR", type=ComponentType.DATA, bom_ref="font:NanumSquareR",
        licenses=[_LICENCES.make_from_string("OFL-1.1")],
    )  # fmt: skip


def _component(
    name: str,
    version: str,
    licence: str,
    ecosystem: str,
    *,
    group: str = "",
    sha512: str = "",
    kind: ComponentType = ComponentType.LIBRARY,
) -> Component:
    url = PackageURL(ecosystem, group or None, name, version)
    return Component(
        name=name, version=version, group=group or None, type=kind, purl=url, bom_ref=url.to_string(),
        licenses=[_LICENCES.make_from_string(licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_512, content=sha512)] if sha512 else [],
    )  # fmt: skip
