"""GET of one object and of lists."""

from __future__ import annotations

from ecpmon.simulator.kube.catalogue import Resource
from ecpmon.simulator.kube.custom import in_version
from ecpmon.simulator.kube.hub import Hub
from ecpmon.simulator.kube.paths import Target
from ecpmon.simulator.kube.query import ListOptions, page_token
from ecpmon.simulator.kube.status import Document, bad_request, too_large_version
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState


def selected(state: ClusterState, target: Target, options: ListOptions) -> list[Document]:
    """The objects that a list or a watch is about, in the order of namespace and name."""
    found = _candidates(state, target.resource, target.namespace, options.name)
    if target.resource.custom:
        found = [in_version(document, target.resource) for document in found]
    wanted = options.wanted
    return found if wanted is None else [document for document in found if wanted(document)]


def _candidates(state: ClusterState, resource: Resource, namespace: str, name: str | None) -> list[Document]:
    if name and (namespace or not resource.namespaced):
        document = cluster.get(state, cluster.ObjectKey(resource.name, namespace, name))
        return [] if document is None else [document]
    found = cluster.items(state, resource.name, namespace or None)
    if name:
        return [document for document in found if document["metadata"]["name"] == name]
    return sorted(found, key=order)


def order(document: Document) -> str:
    """Lists are ordered by this key, and `continue` tokens hold it."""
    metadata = document["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def page(
    hub: Hub, state: ClusterState, target: Target, options: ListOptions
) -> tuple[list[Document], Document]:
    """The objects of one answer and the list's metadata. ApiError 410 for a page that is too old."""
    if options.version is not None and options.version > state.revision:
        raise too_large_version(options.version, state.revision)
    if options.token is not None:
        if options.version:
            raise bad_request("specifying resource version is not allowed when using continue")
        state = hub.recall(options.token[0])
    elif options.match == "Exact" and options.version:
        state = hub.recall(options.version)
    documents = selected(state, target, options)
    if options.token is not None:
        documents = [document for document in documents if order(document) > options.token[1]]
    metadata: Document = {"resourceVersion": str(state.revision)}
    if options.limit and len(documents) > options.limit:
        hub.remember(state)
        metadata["continue"] = page_token(state.revision, order(documents[options.limit - 1]))
        if not options.selects:
            metadata["remainingItemCount"] = len(documents) - options.limit
        documents = documents[: options.limit]
    return documents, metadata
