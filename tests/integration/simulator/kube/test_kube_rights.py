"""Roles, tokens, definitions and unknown kinds, with the real kubectl in two versions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import yaml
from kubernetes import client, dynamic
from kubernetes.client.exceptions import ApiException

from tests.integration.simulator.kube.conftest import Kubectl
from tests.integration.simulator.kube.kube_objects import config_map, namespace
from tests.integration.simulator.sim_process import Simulator
from tests.waiting import PATIENCE

TIMEOUT = 10.0
_numbers = itertools.count(1)
# One version is enough for what the server alone decides.
NEWER = pytest.mark.parametrize("kubectl", ["newer"], indirect=True)
WAIT = f"--timeout={PATIENCE:g}s"


@pytest.fixture
def space(kubectl: Kubectl) -> Iterator[str]:
    name = f"rights-{next(_numbers)}"
    kubectl.apply(namespace(name))
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false")


def test_an_unknown_kind_is_called_so(kubectl: Kubectl) -> None:
    unknown = kubectl.fails("apply", "-f", "-", stdin=gadget("one", size=1).replace("Gadget", "Unheard"))
    assert 'no matches for kind "Unheard" in version "example.com/v1"' in unknown
    assert "ensure CRDs are installed first" in unknown


@NEWER
def test_an_account_may_do_what_its_roles_say(kubectl: Kubectl, space: str) -> None:
    within = ("-n", space)
    kubectl(*within, "create", "serviceaccount", "bot")
    kubectl(*within, "create", "role", "reader", "--verb=get,list", "--resource=pods,configmaps")
    kubectl(*within, "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={space}:bot")
    me = f"system:serviceaccount:{space}:bot"
    bot = (*within, "--as", me)
    assert me in kubectl(*bot, "auth", "whoami")
    assert kubectl(*bot, "auth", "can-i", "list", "pods").strip() == "yes"
    assert "no" in kubectl.run(*bot, "auth", "can-i", "delete", "pods").stdout
    listed = kubectl(*bot, "auth", "can-i", "--list")
    assert "pods" in listed
    assert "selfsubjectaccessreviews.authorization.k8s.io" in listed
    kubectl.apply(config_map("one", space, a="1"))
    assert "one" in kubectl(*bot, "get", "configmaps", "-o", "name")
    refused = kubectl.fails(*bot, "delete", "configmap", "one")
    assert (
        f'User "{me}" cannot delete resource "configmaps" in API group "" in the namespace "{space}"'
        in refused
    )
    # Nobody gives away what they do not have.
    kubectl(*within, "create", "rolebinding", "roles", "--clusterrole=admin", f"--serviceaccount={space}:bot")
    refused = kubectl.fails(*bot, "create", "role", "more", "--verb=get", "--resource=nodes")
    assert "is attempting to grant RBAC permissions not currently held" in refused
    token = kubectl(*within, "create", "token", "bot", "--duration=1h", "--audience=vault").strip()
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == ["vault"]


@NEWER
def test_a_token_is_sent_by_tls(kubectl: Kubectl, simulator: Simulator, space: str) -> None:
    token = kubectl("-n", space, "create", "token", "default").strip()
    trusted = ("--certificate-authority", str(simulator.state_dir / "simulator.crt"))
    server = (
        f"--server=https://127.0.0.1:{simulator.tls_port}",
        *trusted,
        "--insecure-skip-tls-verify=false",
    )
    by_tls = (*server, "--token", token)
    assert f"system:serviceaccount:{space}:default" in kubectl(*by_tls, "auth", "whoami")
    refused = kubectl.fails(*by_tls, "-n", space, "get", "pods")
    assert f'User "system:serviceaccount:{space}:default" cannot list resource "pods"' in refused
    kubectl("-n", space, "delete", "serviceaccount", "default")
    assert "Unauthorized" in kubectl.fails(*by_tls, "get", "--raw", "/version")


def gadget(name: str, **spec: Any) -> str:
    body = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec}
    return yaml.safe_dump(body)


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object", "required": ["size"], "description": "What is wanted.",
            "properties": {"size": {"type": "integer", "maximum": 5, "description": "How large it is."}},
        },
    },
}  # fmt: skip
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"]},
        "versions": [
            {
                "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }
        ],
    },
}  # fmt: skip


@NEWER
def test_a_kind_is_defined_used_and_gone(kubectl: Kubectl, space: str) -> None:
    within = ("-n", space)
    kubectl.apply(DEFINITION)
    kubectl("wait", "--for=condition=Established", "crd/gadgets.example.com", WAIT)
    assert "gadgets.example.com" in kubectl("get", "crd")
    assert "example.com/v1" in kubectl("api-resources")
    kubectl(*within, "apply", "-f", "-", stdin=gadget("one", size=1))
    kubectl(*within, "apply", "--server-side", "-f", "-", stdin=gadget("two", size=2))
    lines = kubectl(*within, "get", "gd").splitlines()
    assert [line.split() for line in lines] == [["NAME", "SIZE"], ["one", "1"], ["two", "2"]]
    assert "How large it is." in kubectl("explain", "gadgets.spec.size")
    kubectl(*within, "patch", "gadget", "one", "--type=merge", "-p", '{"spec":{"size":4}}')
    refused = kubectl.fails(*within, "apply", "-f", "-", stdin=gadget("one", size=6))
    assert "spec.size in body should be less than or equal to 5" in refused
    assert 'unknown field "spec.odd"' in kubectl.fails(
        *within, "apply", "-f", "-", stdin=gadget("one", size=1, odd=1)
    )
    kubectl("delete", "crd", "gadgets.example.com", WAIT)
    assert "(NotFound)" in kubectl.fails(*within, "get", "gadgets")


def test_the_python_client_gets_tokens_and_makes_kinds(simulator: Simulator) -> None:
    host = f"http://127.0.0.1:{simulator.port}"
    with client.ApiClient(client.Configuration(host=host)) as api:
        core = client.CoreV1Api(api)
        asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
        token = core.create_namespaced_service_account_token(
            "default", "default", asked, _request_timeout=TIMEOUT
        )
        extensions = client.ApiextensionsV1Api(api)
        body = {**DEFINITION, "metadata": {"name": "things.example.com"}}
        body["spec"] = {**DEFINITION["spec"], "names": {"plural": "things", "kind": "Thing"}}  # type: ignore[dict-item]
        made = extensions.create_custom_resource_definition(body, _request_timeout=TIMEOUT)
        assert made.status.accepted_names.kind == "Thing"
        things = dynamic.DynamicClient(api).resources.get(api_version="example.com/v1", kind="Thing")
        thing = {"metadata": {"name": "one"}, "spec": {"size": 3}}
        things.create(body=thing, namespace="default")
        assert things.get(name="one", namespace="default").spec.size == 3
        extensions.delete_custom_resource_definition("things.example.com", _request_timeout=TIMEOUT)
    bearer = client.Configuration(host=host, api_key={"authorization": f"Bearer {token.status.token}"})
    with client.ApiClient(bearer) as api:
        with pytest.raises(ApiException) as refused:
            client.CoreV1Api(api).list_namespaced_pod("default", _request_timeout=TIMEOUT)
        assert refused.value.status == 403
        assert client.VersionApi(api).get_code(_request_timeout=TIMEOUT).major == "1"
