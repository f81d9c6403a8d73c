"""What kubectl needs to find us."""

from __future__ import annotations

import yaml

USER = "simulator"
# A client that must send a token can send this one, and is who it would be without.
ADMIN_TOKEN = "simulator"  # noqa: S105 - it opens what is open


def kubeconfig(server: str) -> str:
    """A kubeconfig for the API at `server` (`http://host:port`). Everybody may do everything here.

    The JavaScript client speaks plain HTTP only where nothing is to be verified; the others do not mind.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": USER, "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": USER, "user": {}}],
        "contexts": [{"name": USER, "context": {"cluster": USER, "user": USER, "namespace": "default"}}],
        "current-context": USER,
    }
    return yaml.safe_dump(document, sort_keys=False)
