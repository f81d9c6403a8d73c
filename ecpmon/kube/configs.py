"""ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

import orjson

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, Document, immutable, invalid, of_messages, required, too_long

MAX_SIZE: Final = 1024**2
_ACCOUNT: Final = "kubernetes.io/service-account.name"
# What secrets of a type must hold; dockercfg and dockerconfigjson as JSON.
_HELD: Final = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}


def config_map_causes(document: Document, old: Document | None) -> Causes:
    texts, binary = document.get("data") or {}, document.get("binaryData") or {}
    yield from _keys(texts, "data")
    for key in texts:
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from _keys(binary, "binaryData")
    size = sum(len(text.encode()) for text in texts.values()) + sum(map(_size, binary.values()))
    if size > MAX_SIZE:
        yield too_long("[]", MAX_SIZE)
    yield from _frozen(document, old, ("data", "binaryData"))


def secret_causes(document: Document, old: Document | None) -> Causes:
    data = document.get("data") or {}
    yield from _keys(data, "data")
    if sum(map(_size, data.values())) > MAX_SIZE:
        yield too_long("data", MAX_SIZE)
    yield from _of_type(document, data)
    if old is not None and document.get("type") != old.get("type"):
        yield immutable("type", document.get("type"))
    yield from _frozen(document, old, ("data",))


def _keys(holder: Mapping[str, str], path: str) -> Causes:
    for key in holder:
        if messages := names.config_key(key):
            yield from of_messages(f"{path}[{key}]", key, messages)


def _size(text: str) -> int:
    """Bytes that base64 stands for."""
    return len(text) * 3 // 4 - text.count("=", -2)


def _of_type(document: Document, data: Mapping[str, str]) -> Causes:
    kind = document.get("type", "")
    if kind == "kubernetes.io/service-account-token":
        if not (document["metadata"].get("annotations") or {}).get(_ACCOUNT):
            yield required(f"metadata.annotations[{_ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        for key in ("username", "password"):
            yield required(f"data[{key}]")
    for key in _HELD.get(kind, ()):
        if not (data.get(key) if key == "ssh-privatekey" else key in data):
            yield required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(data[key]):
            yield invalid(f"data[{key}]", "<secret contents redacted>", "unexpected end of JSON input")


def _is_json(encoded: str) -> bool:
    """An object; the server takes null for one without anything in it."""
    try:
        return isinstance(orjson.loads(base64.b64decode(encoded)), dict | None)
    except ValueError:
        return False


def _frozen(document: Document, old: Document | None, keys: tuple[str, ...]) -> Causes:
    if old is None or not old.get("immutable"):
        return
    detail = "field is immutable when `immutable` is set"
    if not document.get("immutable"):
        yield immutable("immutable", document.get("immutable"), detail)
    for key in keys:
        if (document.get(key) or {}) != (old.get(key) or {}):
            yield immutable(key, "", detail)  # what is in there is nobody's business
