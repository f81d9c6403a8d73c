"""The cluster model as a Kubernetes API sees it: documents by resource, namespace and name.

Pure like the model: every write takes a state and returns a new one. Documents are plain JSON and are never
changed after they were returned.
"""

from ecpmon.simulator.model.keys import Change, Document, ObjectKey, Refused
from ecpmon.simulator.model.kube.changes import changes
from ecpmon.simulator.model.kube.logs import pod_log
from ecpmon.simulator.model.kube.reading import get, items
from ecpmon.simulator.model.kube.removing import remove
from ecpmon.simulator.model.kube.storing import put
from ecpmon.simulator.model.kube.usage import node_usage, pod_usage

__all__ = [
    "Change",
    "Document",
    "ObjectKey",
    "Refused",
    "changes",
    "get",
    "items",
    "node_usage",
    "pod_log",
    "pod_usage",
    "put",
    "remove",
]
