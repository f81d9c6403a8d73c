"""What kubectl needs to find us."""

from __future__ import annotations

import yaml

USER = "simulator"


def kubeconfig(server: str) -> str:
    """A kubeconfig for the API at `server` (`http://host:port`). Everybody may do everything here."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": USER, "cluster": {"server": server}}],
        "users": [{"name": USER, "user": {}}],
        "contexts": [{"name": USER, "context": {"cluster": USER, "user": USER, "namespace": "default"}}],
        "current-context": USER,
    }
    return yaml.safe_dump(document, sort_keys=False)
