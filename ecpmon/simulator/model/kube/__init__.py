"""The cluster model as a Kubernetes API sees it: documents by resource, namespace and name.

Pure like the model: every write takes a state and returns a new one. Documents are plain JSON and are never
changed after they were returned.
"""

from ecpmon.simulator.model.keys import Change, Document, ObjectKey, Refused
from ecpmon.simulator.model.kube.changes import changes
from ecpmon.simulator.model.kube.logs import pod_log
from ecpmon.simulator.model.kube.reading import each, get, items, pod_of
from ecpmon.simulator.model.kube.removing import remove
from ecpmon.simulator.model.kube.resizing import resize
from ecpmon.simulator.model.kube.storing import put
from ecpmon.simulator.model.kube.usage import node_usage, pod_network, pod_usage

__all__ = [
    "Change",
    "Document",
    "ObjectKey",
    "Refused",
    "changes",
    "each",
    "get",
    "items",
    "node_usage",
    "pod_log",
    "pod_network",
    "pod_of",
    "pod_usage",
    "put",
    "remove",
    "resize",
]
