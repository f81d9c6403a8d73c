"""The page of kube-state-metrics: every object of a state."""

from __future__ import annotations

from ecpmon.simulator.exporters.objects import OBJECTS
from ecpmon.simulator.exporters.page import Page, text
from ecpmon.simulator.exporters.pods import pod_lines
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState
from ecpmon.slices import in_slices


async def state_page(state: ClusterState) -> Page:
    """All `kube_*` series; the loop turns in between."""
    page = Page()
    async for pod in in_slices(cluster.each(state, "pods")):
        pod_lines(page, pod)
    for resource, lines in OBJECTS.items():
        async for document in in_slices(cluster.each(state, resource)):
            namespace = document["metadata"].get("namespace")
            lines(page, document, text(namespace=namespace) if namespace else "")
    return page
