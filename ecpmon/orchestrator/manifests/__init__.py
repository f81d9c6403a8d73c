"""Kubernetes objects of a tenant: plan in, objects out. Pure and deterministic."""

from ecpmon.orchestrator.manifests.options import Manifest, ManifestOptions, namespace_of, options_of
from ecpmon.orchestrator.manifests.render import render
from ecpmon.orchestrator.manifests.text import to_json, to_yaml

__all__ = ["Manifest", "ManifestOptions", "namespace_of", "options_of", "render", "to_json", "to_yaml"]
