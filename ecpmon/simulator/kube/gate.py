"""Who asks, and whether they may: before anything else is looked at.

Who brings no credentials is the administrator, as ever: only a token of a service account, or somebody who is
impersonated, is held against the roles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import web

from ecpmon.kube.authorization import (
    ACCOUNT_PREFIX,
    AUTHENTICATED,
    MASTERS,
    Attributes,
    User,
    account_groups,
)
from ecpmon.simulator.engine import Engine
from ecpmon.simulator.kube import policy
from ecpmon.simulator.kube.kubeconfig import ADMIN_TOKEN, USER
from ecpmon.simulator.kube.status import UNAUTHORIZED, bad_request
from ecpmon.simulator.kube.tokens import BadToken, owner_of
from ecpmon.simulator.model.state import ClusterState

ADMINISTRATOR: Final = User(USER, (MASTERS, AUTHENTICATED))
CALLER: Final = web.RequestKey("caller", User)
ASKED: Final = web.RequestKey("asked", Attributes)


async def admit(request: web.Request, engine: Engine) -> None:
    """Write down who asks for what. ApiError 401 for a token that is nobody's, 403 for what they may not."""
    asked = policy.attributes_of(request.method, request.path, request.query)
    request[ASKED] = asked
    if "Authorization" not in request.headers and not _impersonates(request):
        request[CALLER] = ADMINISTRATOR
        return
    state = await engine.view()
    caller = _impersonated(state, request, _bearer(state, request))
    policy.check(state, caller, asked)
    request[CALLER] = caller


def _impersonates(request: web.Request) -> bool:
    return any(
        name in request.headers for name in ("Impersonate-User", "Impersonate-Group", "Impersonate-Uid")
    )


def _bearer(state: ClusterState, request: web.Request) -> User:
    if "Authorization" not in request.headers:
        return ADMINISTRATOR
    kind, _, token = request.headers["Authorization"].strip().partition(" ")
    token = token.strip()
    if kind.lower() != "bearer":
        raise UNAUTHORIZED
    if token == ADMIN_TOKEN:
        return ADMINISTRATOR
    try:
        return owner_of(state, token)[0]
    except BadToken as error:
        raise UNAUTHORIZED from error


def _impersonated(state: ClusterState, request: web.Request, caller: User) -> User:
    """Who the caller wants to be. ApiError 400 for groups of nobody, 403 when they may not be that."""
    if not _impersonates(request):
        return caller
    name, groups = (
        request.headers.get("Impersonate-User", ""),
        tuple(request.headers.getall("Impersonate-Group", ())),
    )
    if not name:
        raise bad_request(f"requested {list(groups)} without impersonating a user")
    wanted = User(name, groups, request.headers.get("Impersonate-Uid", ""))
    if name.startswith(ACCOUNT_PREFIX) and name.count(":") == 3:
        space, account = name.removeprefix(ACCOUNT_PREFIX).split(":")
        asked = [Attributes("impersonate", "", "serviceaccounts", "", account, space)]
        wanted = replace(wanted, groups=groups or account_groups(space))
    else:
        asked = [Attributes("impersonate", "", "users", "", name)]
    asked += [Attributes("impersonate", "", "groups", "", group) for group in groups]
    if wanted.uid:
        asked.append(Attributes("impersonate", "authentication.k8s.io", "uids", "", wanted.uid))
    for attributes in asked:
        policy.check(state, caller, attributes)
    if AUTHENTICATED not in wanted.groups and name != "system:anonymous":
        wanted = replace(wanted, groups=(*wanted.groups, AUTHENTICATED))
    return wanted
