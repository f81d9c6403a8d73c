"""What we render is what kubectl takes: dry runs on both sides, then for good."""

from __future__ import annotations

from datetime import UTC, datetime

from conftest import Kubectl

from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import ManifestOptions, render, to_yaml
from ecpmon.orchestrator.tuning import plan_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TENANT = Tenant(
    key=1, tenant_id="rendered", name=None, preset="medium", is_demo=False, status=TenantStatus.PENDING,
    service_requirements={"callbot": 25, "chatbot": 50, "stt": 10}, resources=Resources(),
    sla_target=SlaTarget(availability="99.9%"), created_at=NOW, updated_at=NOW,
)  # fmt: skip


def test_every_rendered_object_passes_dry_runs_and_is_applied(kubectl: Kubectl) -> None:
    objects = render(TENANT, plan_of(TENANT), ManifestOptions(include_ingress=True))
    manifest = to_yaml(objects)
    client = kubectl("apply", "--dry-run=client", "-f", "-", stdin=manifest)
    assert client.count("(dry run)") == len(objects)
    kubectl.apply(next(dict(o) for o in objects if o["kind"] == "Namespace"))
    server = kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest
    )
    assert server.count("(server dry run)") == len(objects)
    applied = kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=manifest)
    assert applied.count("serverside-applied") == len(objects)
    kubectl("delete", "namespace", "ecp-ai-rendered", "--wait=false")
