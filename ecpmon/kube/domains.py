"""Longer names that begin with a domain: of webhooks, signers, drivers, controllers."""

from __future__ import annotations

from typing import Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, invalid, of_messages, required, too_long

_DOMAIN: Final = 253
_DRIVER: Final = 63
# A domain, a slash, a namespace, a dot and a name.
_SIGNER: Final = _DOMAIN + 1 + 63 + 1 + 253
_CONTROLLER: Final = 250


def qualified_causes(name: str, at: str) -> Causes:
    """A domain of at least three parts."""
    found = names.dns_subdomain(name)
    if not name:
        yield required(at)
    elif found:
        yield invalid(at, name, ",".join(found))
    elif name.count(".") < 2:
        yield invalid(at, name, "should be a domain with at least three segments separated by dots")


def domain_causes(name: str, at: str) -> Causes:
    """A domain of at least two parts; it may end with a dot."""
    bare = name.removesuffix(".")
    found = names.dns_subdomain(bare)
    labels = bare.split(".")
    if not name:
        yield required(at)
    elif found:
        yield invalid(at, bare, ",".join(found))
    elif len(labels) < 2:
        yield invalid(at, bare, "should be a domain with at least two segments separated by dots")
    else:
        long = next((label for label in labels if names.dns_label(label)), None)
        if long is not None:
            yield invalid(at, long, ",".join(names.dns_label(long)))


def controller_causes(text: str, at: str) -> Causes:
    """A domain and a path, such as `acme.io/foo`."""
    domain, slash, path = text.partition("/")
    if not text:
        yield required(at)
        return
    if len(text.encode()) > _CONTROLLER:
        yield too_long(at, _CONTROLLER)
    if not slash or not domain or not path:
        yield invalid(at, text, 'must be a domain-prefixed path (such as "acme.io/foo")')
        return
    yield from of_messages(at, domain, names.dns_subdomain(domain))
    if not names.is_path(path):
        yield invalid(at, path, f"Invalid path (regex used for validation is '{names.PATH}')")


def driver_causes(name: str, at: str) -> Causes:
    """A driver of volumes."""
    if not name:
        yield required(at)
    if len(name) > _DRIVER:
        yield too_long(at, _DRIVER)
    yield from of_messages(at, name, names.dns_subdomain(name.lower()))


def signer_causes(name: str, at: str) -> Causes:
    """A signer of certificates: `example.com/signer`."""
    if not name:
        yield required(at)
        return
    parts = name.split("/")
    if len(parts) != 2:
        detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid(at, name, detail)
        return
    domain, path = parts
    if len(domain) > _DOMAIN:
        yield too_long(at, _DOMAIN)
    labels = domain.split(".")
    yield from _first_wrong(at, domain, labels, names.dns_label)
    if len(labels) < 2:
        yield invalid(at, domain, "should be a domain with at least two segments separated by dots")
    yield from _first_wrong(at, path, path.split("."), names.dns_subdomain)
    if len(name) > _SIGNER:
        yield too_long(at, _SIGNER)


def _first_wrong(at: str, whole: str, labels: list[str], rule: names.Rule) -> Causes:
    """What is wrong with the first label that is wrong."""
    for label in labels:
        found = rule(label)
        if found:
            yield from of_messages(at, whole, [f'validating label "{label}": {message}' for message in found])
            return
