"""Writing a pod's new resources."""

from __future__ import annotations

from ecpmon.simulator.model import resizing
from ecpmon.simulator.model.keys import Document, ObjectKey, not_found
from ecpmon.simulator.model.kube.reading import get
from ecpmon.simulator.model.limits import limited
from ecpmon.simulator.model.manifests import from_document
from ecpmon.simulator.model.quotas import check_quota
from ecpmon.simulator.model.state import ClusterState, Draft
from ecpmon.simulator.model.step import finish


def resize(state: ClusterState, key: ObjectKey, document: Document) -> tuple[ClusterState, Document]:
    """Have a pod run with the resources of `document`, which is the whole pod and valid; the answer is the pod.

    Raises Refused for what quotas and LimitRanges do not let, and for a pod that is not there or is on its way out.
    """
    path = f"{key.namespace}/{key.name}"
    pod = state.pods.get(path)
    old = get(state, key)
    if pod is None or old is None:
        raise not_found(key)
    draft = Draft(state)
    before = draft.manifest_of(pod)
    spec = {**before["spec"], **{k: document["spec"][k] for k in _KINDS if k in document["spec"]}}
    if spec == before["spec"]:
        return state, old
    limited(draft, key, spec)
    check_quota(draft, key, {"spec": spec}, {"spec": before["spec"]})
    manifest = {**from_document({"metadata": {}, **before}), "spec": spec}
    resizing.begin(draft, pod, manifest)
    after = finish(draft)
    return after, get(after, key) or old


_KINDS = ("containers", "initContainers")
