"""`serviceaccounts/{name}/token` and TokenReview: who wants a token, and whose one is; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ecpmon.kube.causes import Cause, invalid, required, unsupported
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.policy import as_user_info
from ecpmon.simulator.kube.status import ApiError, Document, bad_request, conflict, not_found
from ecpmon.simulator.kube.status import invalid as refused
from ecpmon.simulator.kube.tokens import ISSUER, BadToken, issued, owner_of
from ecpmon.simulator.kube.writing import existing, now_of
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.kube import ObjectKey
from ecpmon.simulator.model.state import ClusterState
from ecpmon.simulator.model.times import SECOND, timestamp

GROUP: Final = "authentication.k8s.io"
_DEFAULT: Final = 3600
_LEAST: Final = 600
_MOST: Final = 2**32
_BOUND: Final = {("v1", "Pod"): "pods", ("v1", "Secret"): "secrets", ("v1", "Node"): "nodes"}


def requested(state: ClusterState, target: Target, body: Document) -> Document:
    """The TokenRequest with its token. ApiError 404 without that account, 400, 409 or 422 for what makes no sense."""
    if body.get("kind", "TokenRequest") != "TokenRequest":
        raise bad_request("the kind in the data does not match the expected kind (TokenRequest)")
    account = existing(state, target)
    spec = body.get("spec") or {}
    seconds, audiences = spec.get("expirationSeconds", _DEFAULT), spec.get("audiences") or [ISSUER]
    _check(target, spec, seconds, audiences)
    reference = spec.get("boundObjectRef")
    bound = _bound(state, target, reference) if reference else {}
    token = issued(state, account, audiences, seconds, bound)
    ends = timestamp(state.now + seconds * SECOND)
    metadata = {"name": target.name, "namespace": target.namespace, "creationTimestamp": now_of(state)}
    return {
        "kind": "TokenRequest",
        "apiVersion": f"{GROUP}/v1",
        "metadata": metadata,
        "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": reference},
        "status": {"token": token, "expirationTimestamp": ends},
    }


def _check(target: Target, spec: Any, seconds: Any, audiences: Any) -> None:
    typed = isinstance(spec, dict) and isinstance(seconds, int) and not isinstance(seconds, bool)
    if not (typed and isinstance(audiences, list) and all(isinstance(item, str) for item in audiences)):
        raise bad_request(
            f'TokenRequest in version "{GROUP}/v1" cannot be handled as a TokenRequest: expirationSeconds is an '
            "integer, audiences are strings"
        )
    causes: list[Cause] = []
    if seconds < _LEAST:
        why = "may not specify a duration less than 10 minutes"
        causes.append(invalid("spec.expirationSeconds", seconds, why))
    elif seconds > _MOST:
        why = "may not specify a duration larger than 2^32 seconds"
        causes.append(invalid("spec.expirationSeconds", seconds, why))
    if causes:
        raise refused("TokenRequest", GROUP, target.name, causes)


def _bound(state: ClusterState, target: Target, reference: Any) -> Mapping[str, Any]:
    if not isinstance(reference, dict):
        raise bad_request("spec.boundObjectRef must be an object")
    kind, name, uid = (str(reference.get(key) or "") for key in ("kind", "name", "uid"))
    resource = _BOUND.get((str(reference.get("apiVersion") or ""), kind))
    causes = [required("spec.boundObjectRef.name")] if not name else []
    if resource is None:
        causes.append(unsupported("spec.boundObjectRef.kind", kind, [found for _, found in _BOUND]))
    if resource is None or causes:
        raise refused("TokenRequest", GROUP, target.name, causes)
    space = "" if kind == "Node" else target.namespace
    found = cluster.get(state, ObjectKey(resource, space, name))
    if found is None:
        raise not_found(resource, "", name)
    _check_identity(target, kind, found, uid)
    bound = {kind.lower(): {"name": name, "uid": found["metadata"]["uid"]}}
    node = (found.get("spec") or {}).get("nodeName") if kind == "Pod" else None
    if node and (host := cluster.get(state, ObjectKey("nodes", "", node))) is not None:
        bound["node"] = {"name": node, "uid": host["metadata"]["uid"]}
    return bound


def _check_identity(target: Target, kind: str, found: Document, uid: str) -> None:
    metadata = found["metadata"]
    if uid and uid != metadata["uid"]:
        why = (
            f"the UID in the bound object reference ({uid}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise conflict(f"{kind.lower()}s", "", metadata["name"], why)
    account = (found.get("spec") or {}).get("serviceAccountName") or "default"
    if kind == "Pod" and account != target.name:
        why = (
            f'cannot bind token for serviceaccount "{target.name}" to pod running with different '
            "serviceaccount name."
        )
        raise bad_request(why)


def reviewed(state: ClusterState, body: Document) -> Document:
    """The status of a TokenReview: whose token it is. ApiError 422 without a token."""
    spec = body.get("spec") or {}
    token, audiences = spec.get("token"), spec.get("audiences") or [ISSUER]
    if not token or not isinstance(token, str):
        raise refused("TokenReview", GROUP, "", [required("spec.token")])
    if not isinstance(audiences, list):
        raise ApiError(400, "BadRequest", "spec.audiences must be a list")
    try:
        user, common = owner_of(state, token, [str(audience) for audience in audiences])
    except BadToken as error:
        return {"authenticated": False, "user": {}, "error": str(error)}
    return {"authenticated": True, "user": as_user_info(user), "audiences": common}
