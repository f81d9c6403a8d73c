"""What only Windows knows of security: accounts, credentials, processes of the host."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ecpmon.kube import names
from ecpmon.kube.causes import Causes, invalid, of_messages

_MAX_CREDENTIALS: Final = 64 * 1024
_MAX_DOMAIN: Final = 256
_MAX_USER: Final = 104
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NET_BIOS: Final = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NOT_IN_USERS: Final = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_ONLY_DOTS: Final = re.compile(r"[. ]+")


def windows_causes(options: Mapping[str, Any] | None, at: str) -> Causes:
    """`windowsOptions` of a pod or of a container."""
    if options is None:
        return
    name, credentials = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        yield from of_messages(f"{at}.gmsaCredentialSpecName", name, names.dns_subdomain(name))
    if credentials == "":
        yield invalid(f"{at}.gmsaCredentialSpec", "", "gmsaCredentialSpec cannot be an empty string")
    elif credentials is not None and len(credentials.encode()) > _MAX_CREDENTIALS:
        detail = f"gmsaCredentialSpec size must be under {_MAX_CREDENTIALS // 1024} KiB"
        yield invalid(f"{at}.gmsaCredentialSpec", credentials, detail)
    account = options.get("runAsUserName")
    if account is not None:
        messages = [f"runAsUserName{said}" for said in _account(account)]
        yield from of_messages(f"{at}.runAsUserName", account, messages)


def _account(text: str) -> Iterator[str]:
    """What is wrong with `DOMAIN\\user`."""
    domain, backslash, user = text.rpartition("\\")
    if not text:
        yield " cannot be an empty string"
    elif _CONTROL.search(text):
        yield " cannot contain control characters"
    elif "\\" in domain:
        yield " cannot contain more than one backslash"
    else:
        if len(domain) >= _MAX_DOMAIN:
            yield f"'s Domain length must be under {_MAX_DOMAIN} characters"
        if backslash and not (_NET_BIOS.fullmatch(domain) or _DOMAIN.fullmatch(domain)):
            yield "'s Domain doesn't match the NetBios nor the DNS format"
        yield from _user(user)


def _user(user: str) -> Iterator[str]:
    if not user:
        yield "'s User cannot be empty"
    elif len(user) > _MAX_USER:
        yield f"'s User length must not be longer than {_MAX_USER} characters"
    if _ONLY_DOTS.fullmatch(user):
        yield "'s User cannot contain only periods or spaces"
    if _NOT_IN_USERS.search(user):
        yield "'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"


def host_process_causes(spec: Mapping[str, Any], path: str) -> Causes:
    """Processes of the host: all containers of a pod are, or none."""
    own = _host_process(spec)
    containers = [
        (f"{path}.{key}[{index}]", _host_process(container))
        for key in ("initContainers", "containers")
        for index, container in enumerate(spec.get(key) or ())
    ]
    for at, said in containers:
        if own is not None and said is not None and own != said:
            detail = f"pod hostProcess value must be identical if both are specified, was {str(own).lower()}"
            yield invalid(f"{at}.securityContext.windowsOptions.hostProcess", said, detail)
    count = sum(bool(own if said is None else said) for _, said in containers)
    if count and count != len(containers):
        detail = (
            "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        )
        yield invalid(path, "", detail)
    if count and not spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        yield invalid(f"{path}.hostNetwork", False, detail)


def _host_process(holder: Mapping[str, Any]) -> bool | None:
    options = (holder.get("securityContext") or {}).get("windowsOptions") or {}
    value: bool | None = options.get("hostProcess")
    return value
