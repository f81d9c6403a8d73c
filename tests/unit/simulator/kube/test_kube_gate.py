"""Tokens of service accounts and what they may do, over HTTP within this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp.test_utils import TestClient, TestServer

from ecpmon.simulator.engine import EngineOptions, open_engine
from ecpmon.simulator.kube.policy import attributes_of
from ecpmon.simulator.server import create_app
from ecpmon.simulator.snapshot import SnapshotStore

RBAC = "rbac.authorization.k8s.io"
ROLES = f"/apis/{RBAC}/v1/namespaces/shop/roles"
BINDINGS = f"/apis/{RBAC}/v1/namespaces/shop/rolebindings"
BOT = "system:serviceaccount:shop:bot"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
ISSUER = "https://kubernetes.default.svc.cluster.local"


class Caller:
    """Requests with one set of headers; `ok` and `refused` give the document."""

    def __init__(self, client: TestClient, **headers: str) -> None:
        self.client, self.headers = client, headers

    async def call(self, method: str, path: str, body: Any = None, **more: str) -> tuple[int, Any]:
        headers = {**self.headers, **more}
        data = None if body is None else json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
        async with self.client.request(method, path, data=data, headers=headers) as answer:
            raw = await answer.read()
            return answer.status, json.loads(raw) if "json" in answer.content_type else raw.decode()

    async def ok(self, method: str, path: str, body: Any = None, **more: str) -> Any:
        status, document = await self.call(method, path, body, **more)
        assert status < 300, (method, path, document)
        return document

    async def refused(self, method: str, path: str, body: Any = None, **more: str) -> Any:
        status, document = await self.call(method, path, body, **more)
        assert (document["kind"], document["status"], document["code"]) == ("Status", "Failure", status)
        return document


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Caller]:
    engine = open_engine(SnapshotStore(tmp_path), EngineOptions(seed=5, manual_clock=True))
    async with TestClient(TestServer(create_app(engine))) as client:
        made = Caller(client)
        await made.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        await made.ok("POST", "/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": "bot"}})
        yield made


async def bot_of(admin: Caller, **spec: Any) -> Caller:
    path = "/api/v1/namespaces/shop/serviceaccounts/bot/token"
    answer = await admin.ok("POST", path, {"spec": spec})
    return Caller(admin.client, Authorization=f"Bearer {answer['status']['token']}")


async def bind(admin: Caller, *rules: dict[str, Any], name: str = "role") -> None:
    await admin.ok("POST", ROLES, {"metadata": {"name": name}, "rules": list(rules)})
    reference = {"apiGroup": RBAC, "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": "bot", "namespace": "shop"}
    body = {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
    await admin.ok("POST", BINDINGS, body)


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /api/v1/pods", ("list", "", "pods", "", "", "")),
        ("GET /api/v1/pods?watch=1", ("watch", "", "pods", "", "", "")),
        ("GET /api/v1/watch/pods", ("watch", "", "pods", "", "", "")),
        ("GET /api/v1/namespaces/a/pods?fieldSelector=metadata.name=b", ("list", "", "pods", "", "b", "a")),
        ("HEAD /api/v1/namespaces/a/pods/b", ("get", "", "pods", "", "b", "a")),
        ("GET /api/v1/namespaces/a/pods/b/log", ("get", "", "pods", "log", "b", "a")),
        ("GET /api/v1/namespaces/a", ("get", "", "namespaces", "", "a", "a")),
        ("PUT /api/v1/namespaces/a/status", ("update", "", "namespaces", "status", "a", "a")),
        ("DELETE /apis/apps/v1/namespaces/a/deployments", ("deletecollection", "apps", "deployments", "", "", "a")),
        ("PATCH /apis/x.y/v1/things/t", ("patch", "x.y", "things", "", "t", "")),
        ("GET /api/v1", ("get", "", "", "", "", "")),
        ("GET /apis/apps/v1", ("get", "", "", "", "", "")),
        ("POST /version", ("post", "", "", "", "", "")),
    ],
)  # fmt: skip
def test_a_request_asks_for_what_the_real_server_reads_in_it(
    request_line: str, expected: tuple[str, ...]
) -> None:
    method, _, target = request_line.partition(" ")
    path, _, query = target.partition("?")
    found = attributes_of(method, path, dict([query.split("=", 1)]) if query else {})
    assert (
        found.verb, found.group, found.resource, found.subresource, found.name, found.namespace
    ) == expected  # fmt: skip
    assert found.path == ("" if found.resource else path)


async def test_an_account_may_do_what_its_roles_say(admin: Caller) -> None:
    bot = await bot_of(admin)
    refused = await bot.refused("GET", "/api/v1/namespaces/shop/pods")
    assert refused["message"] == (
        f'pods is forbidden: User "{BOT}" cannot list resource "pods" in API group "" in the namespace "shop"'
    )
    assert (refused["reason"], refused["details"]) == ("Forbidden", {"kind": "pods"})
    refused = await bot.refused("GET", "/apis/apps/v1/deployments/a")
    assert refused["message"] == (
        f'deployments.apps "a" is forbidden: User "{BOT}" cannot get resource "deployments" in API group "apps" '
        "at the cluster scope"
    )
    await bind(admin, rule("list", "pods"), rule("get", "configmaps", resourceNames=["one"]))
    await bot.ok("GET", "/api/v1/namespaces/shop/pods")
    for path in ("/api/v1/pods", "/api/v1/namespaces/default/pods", "/api/v1/namespaces/shop/configmaps"):
        assert (await bot.refused("GET", path))["code"] == 403, path
    assert (await bot.refused("GET", "/api/v1/namespaces/shop/configmaps/one"))["code"] == 404
    assert (await bot.refused("GET", "/api/v1/namespaces/shop/configmaps/two"))["code"] == 403


async def test_everybody_with_a_token_may_look_around(admin: Caller) -> None:
    bot = await bot_of(admin)
    for path in ("/api", "/apis", "/apis/apps/v1", "/openapi/v3", "/version", "/healthz", "/openid/v1/jwks"):
        await bot.ok("GET", path)
    # Whether it is served or not: what is not allowed is not told.
    assert (await bot.refused("GET", "/apis/no.such/v1/things"))["message"].startswith(
        "things.no.such is forbid"
    )
    assert (await admin.refused("GET", "/apis/no.such/v1/things"))["code"] == 404


async def test_server_side_apply_needs_the_right_to_create_what_is_not_there(admin: Caller) -> None:
    bot, path = await bot_of(admin), "/api/v1/namespaces/shop/configmaps/one?fieldManager=bot"
    await bind(admin, rule("patch", "configmaps"))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    refused = await bot.refused("PATCH", path, body, **APPLY)
    assert 'cannot create resource "configmaps"' in refused["message"]
    await admin.ok("PATCH", path, body, **APPLY)
    await bot.ok("PATCH", path, {**body, "data": {"a": "1"}}, **APPLY)


async def test_nobody_grants_what_they_do_not_hold(admin: Caller) -> None:
    bot = await bot_of(admin)
    await bind(admin, rule("create update patch get", "roles rolebindings", RBAC), rule("get", "pods"))
    own = {"metadata": {"name": "mine"}, "rules": [rule("get", "pods")]}
    await bot.ok("POST", ROLES, own)
    own["rules"] = [rule("get delete", "pods")]
    refused = await bot.refused("PUT", f"{ROLES}/mine", own)
    assert refused["message"].startswith(
        f'roles.{RBAC} "mine" is forbidden: user "{BOT}" (groups=["system:service'
    )
    assert refused["message"].endswith('held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}')
    binding = {"metadata": {"name": "mine"}, "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "eve"}]}
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"}
    refused = await bot.refused("POST", BINDINGS, {**binding, "roleRef": reference})
    assert f'rolebindings.{RBAC} "mine" is forbidden: user' in refused["message"]
    lost = await bot.refused("POST", BINDINGS, {**binding, "roleRef": {**reference, "name": "lost"}})
    assert lost["message"] == f'clusterroles.{RBAC} "lost" not found'
    await bind(
        admin, rule("bind", "clusterroles", RBAC, resourceNames=["edit"]), rule("escalate", "roles", RBAC), name="more"
    )  # fmt: skip
    await bot.ok("POST", BINDINGS, {**binding, "roleRef": reference})
    await bot.ok("PUT", f"{ROLES}/mine", own)


async def test_default_roles_collect_what_is_made_for_them(admin: Caller) -> None:
    roles = f"/apis/{RBAC}/v1/clusterroles"
    names = {role["metadata"]["name"] for role in (await admin.ok("GET", roles))["items"]}
    assert {"cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user"} <= names
    extra = rule("get", "widgets", "example.com")
    labels = {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    await admin.ok("POST", roles, {"metadata": {"name": "widgets", "labels": labels}, "rules": [extra]})
    for name in ("view", "edit", "admin"):
        assert extra in (await admin.ok("GET", f"{roles}/{name}"))["rules"], name
    view = (await admin.ok("GET", f"{roles}/view"))["rules"]
    assert not any("secrets" in found["resources"] or "create" in found["verbs"] for found in view)
    await admin.ok("DELETE", f"{roles}/widgets")
    assert extra not in (await admin.ok("GET", f"{roles}/admin"))["rules"]


async def test_reviews_say_what_is_allowed_and_who_one_is(admin: Caller) -> None:
    bot = await bot_of(admin)
    await bind(admin, rule("get", "pods"))
    reviews = "/apis/authorization.k8s.io/v1"

    async def can_i(verb: str, **more: str) -> Any:
        wanted = {"namespace": "shop", "verb": verb, "resource": "pods", **more}
        body = {"spec": {"resourceAttributes": wanted}}
        return (await bot.ok("POST", f"{reviews}/selfsubjectaccessreviews", body))["status"]

    assert (await can_i("get"))["reason"].startswith(
        'RBAC: allowed by RoleBinding "role/shop" of Role "role"'
    )
    assert await can_i("delete") == {"allowed": False}
    assert not (await can_i("get", namespace=""))["allowed"]
    rules = await bot.ok("POST", f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": "shop"}})
    assert {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]} in rules["status"]["resourceRules"]
    assert any("/api" in found["nonResourceURLs"] for found in rules["status"]["nonResourceRules"])
    whoami = await bot.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert whoami["status"]["userInfo"]["username"] == BOT
    assert "system:serviceaccounts:shop" in whoami["status"]["userInfo"]["groups"]
    other = {"spec": {"user": BOT, "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}}
    assert (await bot.refused("POST", f"{reviews}/subjectaccessreviews", other))["code"] == 403
    answer = await admin.ok("POST", f"{reviews}/subjectaccessreviews", other)
    assert answer["status"] == {"allowed": False}
    for wrong in ({}, {"user": "a"}, {"user": "a", **other["spec"], "resourceAttributes": {"verb": "get"}}):
        refused = await admin.refused("POST", f"{reviews}/subjectaccessreviews", {"spec": wrong})
        assert refused["code"] == 422, wrong


async def test_a_token_says_whose_it_is_and_is_checked_by_its_public_key(admin: Caller) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/bot/token"
    answer = await admin.ok("POST", path, {"spec": {"audiences": ["vault"], "expirationSeconds": 900}})
    token = answer["status"]["token"]
    keys = jwt.PyJWKSet.from_dict(await admin.ok("GET", "/openid/v1/jwks"))
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(
        token, keys.keys[0].key, ["ES256"], audience="vault", issuer=ISSUER, options=options  # type: ignore[arg-type]
    )  # fmt: skip
    assert claims["sub"] == BOT
    assert claims["exp"] - claims["iat"] == 900
    assert claims["kubernetes.io"]["serviceaccount"]["name"] == "bot"
    # It is for the vault, and not for this server.
    bearer = Caller(admin.client, Authorization=f"Bearer {token}")
    assert (await bearer.refused("GET", "/version"))["message"] == "Unauthorized"
    reviews, spec = "/apis/authentication.k8s.io/v1/tokenreviews", {"token": token}
    status = (await admin.ok("POST", reviews, {"spec": {**spec, "audiences": ["vault", "x"]}}))["status"]
    assert (status["authenticated"], status["user"]["username"], status["audiences"]) == (
        True,
        BOT,
        ["vault"],
    )
    assert (await admin.ok("POST", reviews, {"spec": spec}))["status"]["authenticated"] is False
    assert (await admin.refused("POST", reviews, {"spec": {}}))["code"] == 422


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer a.b.c", "Basic YTpi", "Bearer "])
async def test_credentials_of_nobody_are_refused(admin: Caller, header: str) -> None:
    refused = await Caller(admin.client, Authorization=header).refused("GET", "/api/v1/pods")
    assert (refused["code"], refused["reason"]) == (401, "Unauthorized")


async def test_a_token_ends_on_time_and_with_its_account(admin: Caller) -> None:
    short, long = await bot_of(admin, expirationSeconds=600), await bot_of(admin)
    await admin.ok("POST", "/api/v1/clock/advance", {"seconds": 601})
    assert (await short.refused("GET", "/version"))["code"] == 401
    await long.ok("GET", "/version")
    accounts = "/api/v1/namespaces/shop/serviceaccounts"
    await admin.ok("DELETE", f"{accounts}/bot")
    assert (await long.refused("GET", "/version"))["code"] == 401
    await admin.ok("POST", accounts, {"metadata": {"name": "bot"}})
    assert (await long.refused("GET", "/version"))["code"] == 401, "another account of the same name"


async def test_a_token_that_is_bound_to_a_pod_ends_with_it(admin: Caller) -> None:
    pods = "/api/v1/namespaces/shop/pods"
    spec = {"serviceAccountName": "bot", "containers": [{"name": "a", "image": "a:1"}]}
    await admin.ok("POST", pods, {"metadata": {"name": "one"}, "spec": spec})
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "one"}
    bot = await bot_of(admin, boundObjectRef=bound)
    whoami = await bot.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert whoami["status"]["userInfo"]["extra"]["authentication.kubernetes.io/pod-name"] == ["one"]
    await admin.ok("DELETE", f"{pods}/one?gracePeriodSeconds=0")
    await admin.ok("POST", "/api/v1/clock/advance", {"seconds": 60})
    assert (await bot.refused("GET", "/version"))["code"] == 401


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({"expirationSeconds": 60}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**33}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"expirationSeconds": "1h"}, 400, "cannot be handled as a TokenRequest"),
        ({"audiences": "vault"}, 400, "cannot be handled as a TokenRequest"),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "none"}},
            404,
            'pods "none" not found',
        ),
        (
            {"boundObjectRef": {"apiVersion": "v1", "kind": "Shoe", "name": "none"}},
            422,
            "boundObjectRef.kind",
        ),
        ({"boundObjectRef": "pod"}, 400, "must be an object"),
    ],
)
async def test_requests_for_tokens_without_sense_are_refused(
    admin: Caller, spec: Any, code: int, words: str
) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/bot/token"
    refused = await admin.refused("POST", path, {"spec": spec})
    assert refused["code"] == code
    assert words in refused["message"]


async def test_the_default_account_of_a_namespace_comes_back(admin: Caller) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/default"
    before = await admin.ok("GET", path)
    assert (await admin.ok("DELETE", path))["kind"] == "Status"
    after = await admin.ok("GET", path)
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    await admin.ok("DELETE", "/api/v1/namespaces/shop")


async def test_who_may_can_be_somebody_else(admin: Caller) -> None:
    headers = {"Impersonate-User": "jane"}
    refused = await admin.refused("GET", "/api/v1/pods", **headers)
    assert 'User "jane" cannot list resource "pods"' in refused["message"]
    await admin.ok("GET", "/api/v1/pods", **headers, **{"Impersonate-Group": "system:masters"})
    reviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await admin.ok("POST", reviews, {}, **{"Impersonate-User": BOT})
    assert answer["status"]["userInfo"]["groups"][0] == "system:serviceaccounts"
    bot = await bot_of(admin)
    refused = await bot.refused("GET", "/version", **headers)
    assert refused["message"] == (
        f'users "jane" is forbidden: User "{BOT}" cannot impersonate resource "users" in API group "" at the '
        "cluster scope"
    )
    assert (await admin.refused("GET", "/version", **{"Impersonate-Group": "a"}))["code"] == 400


async def test_the_administrators_token_is_as_good_as_none(admin: Caller) -> None:
    await Caller(admin.client, Authorization="Bearer simulator").ok("DELETE", "/api/v1/namespaces/shop")


async def test_tokens_and_roles_outlive_a_restart(tmp_path: Path) -> None:
    options, revisions, token = EngineOptions(seed=5, manual_clock=True), set(), ""
    for _ in range(2):
        engine = open_engine(SnapshotStore(tmp_path), options)
        revisions.add(engine.current.revision)
        async with TestClient(TestServer(create_app(engine))) as client:
            if not token:
                path = "/api/v1/namespaces/default/serviceaccounts/default/token"
                token = (await Caller(client).ok("POST", path, {}))["status"]["token"]
            await Caller(client, Authorization=f"Bearer {token}").ok("GET", "/version")
    assert len(revisions) == 1, "roles that are there are not made again"
