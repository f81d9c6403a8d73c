"""The syntax of names, keys and other short texts; every function gives the server's complaints, none if fine."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

Messages = tuple[str, ...]
Rule = Callable[[str], Messages]
_FINE: Final[Messages] = ()

_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_OLD_LABEL: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_WORD: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_DNS_LABEL: Final = re.compile(_LABEL)
_DNS_OLD_LABEL: Final = re.compile(_OLD_LABEL)
_DNS_SUBDOMAIN: Final = re.compile(_SUBDOMAIN)
_WILDCARD: Final = re.compile(rf"\*\.{_SUBDOMAIN}")
_NAME_PART: Final = re.compile(_WORD)
_QUALIFIED: Final = re.compile(rf"(?:{_SUBDOMAIN}/)?{_WORD}")
_LABEL_VALUE: Final = re.compile(rf"({_WORD})?")
_CONFIG_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_VARIABLE: Final = re.compile(r"[ -<>-~]*")
_HEADER: Final = re.compile(r"[-A-Za-z0-9]+")
_PERCENT: Final = re.compile(r"[0-9]+%")
_PORT_NAME: Final = re.compile(r"[-a-z0-9]+")
PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_PATH: Final = re.compile(PATH)
_UNDERSCORES: Final = re.compile("_")
_CACHED: Final = 4096

_EDGES: Final = "and must start and end with an alphanumeric character"
_LABEL_TEXT: Final = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_EDGES} "
    f"(e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_OLD_LABEL_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character "
    f"(e.g. 'my-name',  or 'abc-123', regex used for validation is '{_OLD_LABEL}')"
)
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    f"{_EDGES} (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    f"{_EDGES} (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_WORD})?')"
)
_NAME_PART_TEXT: Final = (
    f"name part must consist of alphanumeric characters, '-', '_' or '.', {_EDGES} "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_WORD}')"
)
_PERCENT_TEXT: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


def too_long(most: int, unit: str = "characters") -> str:
    return f"must be no more than {most} {unit}"


@lru_cache(_CACHED)
def dns_label(text: str) -> Messages:
    """RFC 1123 label."""
    found = [too_long(63)] if len(text) > 63 else []
    if not _DNS_LABEL.fullmatch(text):
        found.append("must not contain dots" if _DNS_SUBDOMAIN.fullmatch(text) else _LABEL_TEXT)
    return tuple(found)


@lru_cache(_CACHED)
def dns_1035_label(text: str) -> Messages:
    """A label that begins with a letter, as versions and the names of custom kinds do."""
    found = [too_long(63)] if len(text) > 63 else []
    if not _DNS_OLD_LABEL.fullmatch(text):
        found.append(_OLD_LABEL_TEXT)
    return tuple(found)


@lru_cache(_CACHED)
def dns_subdomain(text: str) -> Messages:
    """RFC 1123 subdomain."""
    found = [too_long(253)] if len(text) > 253 else []
    if not _DNS_SUBDOMAIN.fullmatch(text):
        found.append(_SUBDOMAIN_TEXT)
    return tuple(found)


def wildcard_subdomain(text: str) -> Messages:
    """`*.` and a subdomain."""
    found = [too_long(253)] if len(text) > 253 else []
    if not _WILDCARD.fullmatch(text):
        found.append("a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain")
    return tuple(found)


def path_segment(text: str) -> Messages:
    """What can stand in a URL: everything but `.`, `..`, `/` and `%`."""
    if text in (".", ".."):
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{sign}'" for sign in "/%" if sign in text)


def search_domain(text: str) -> Messages:
    """A domain that resolvers look names up in; it may end with a dot, and have underscores."""
    bare = text.removesuffix(".") if text != "." else "a"
    return dns_subdomain(_UNDERSCORES.sub("a", bare))


def is_path(text: str) -> bool:
    """What may follow a domain and a slash."""
    return _PATH.fullmatch(text) is not None


def is_label(key: str, value: str) -> bool:
    """Whether nothing is wrong with either; of long lists each is asked only this."""
    fits = len(key) <= 63 and len(value) <= 63
    return fits and _QUALIFIED.fullmatch(key) is not None and _LABEL_VALUE.fullmatch(value) is not None


def is_qualified(text: str) -> bool:
    """Whether nothing is wrong with the key; of long lists each is asked only this."""
    return (len(text) <= 63 and _QUALIFIED.fullmatch(text) is not None) or not qualified_name(text)


@lru_cache(_CACHED)
def label_value(text: str) -> Messages:
    found = [too_long(63, "bytes")] if len(text.encode()) > 63 else []
    if not _LABEL_VALUE.fullmatch(text):
        found.append(_VALUE_TEXT)
    return tuple(found)


@lru_cache(_CACHED)
def qualified_name(text: str) -> Messages:
    """`name` or `prefix/name`: keys of labels, annotations, resources."""
    if len(text) <= 63 and _QUALIFIED.fullmatch(text):  # nearly all: whatever the slash parts is short enough
        return _FINE
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        return (f"a qualified name must consist of alphanumeric characters, '-', '_' or '.', {_EDGES}",)
    found: list[str] = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {message}" for message in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {too_long(63, 'bytes')}")
    if not _NAME_PART.fullmatch(name):
        found.append(_NAME_PART_TEXT)
    return tuple(found)


@lru_cache(_CACHED)
def port_name(text: str) -> Messages:
    """The name of a container's port, as IANA has service names."""
    found = [too_long(15)] if len(text) > 15 else []
    if not _PORT_NAME.fullmatch(text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= sign <= "z" for sign in text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text and "-" in (text[0], text[-1]):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def port_number(number: int) -> Messages:
    return _FINE if 1 <= number <= 65535 else ("must be between 1 and 65535, inclusive",)


def port(value: int | str) -> Messages:
    """A port by number or by name."""
    return port_name(value) if isinstance(value, str) else port_number(value)


def environment_name(text: str) -> Messages:
    if _VARIABLE.fullmatch(text):
        return _FINE
    return (
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
    )


def config_key(text: str) -> Messages:
    """A key of a ConfigMap or Secret: a file's name."""
    found = [too_long(253)] if len(text) > 253 else []
    if not _CONFIG_KEY.fullmatch(text):
        found.append("a valid config key must consist of alphanumeric characters, '-', '_' or '.'")
    if text == ".":
        found.append("must not be '.'")
    elif text.startswith(".."):
        found.append("must not be '..'" if text == ".." else "must not start with '..'")
    return tuple(found)


def header_name(text: str) -> Messages:
    if _HEADER.fullmatch(text):
        return _FINE
    return ("a valid HTTP header must consist of alphanumeric characters or '-'",)


def percent(text: str) -> Messages:
    return _FINE if _PERCENT.fullmatch(text) else (_PERCENT_TEXT,)
