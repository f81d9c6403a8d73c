"""What we render is what kubectl takes: dry runs on both sides, then for good, and away again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ecpmon.model.tenants import Resources, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import ManifestOptions, render, to_yaml
from ecpmon.orchestrator.tuning import plan_of
from tests.integration.simulator.kube.conftest import Kubectl
from tests.integration.simulator.sim_process import Simulator

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TENANT = Tenant(
    key=1, tenant_id="rendered", name=None, preset="medium", is_demo=False, status=TenantStatus.PENDING,
    service_requirements={"callbot": 25, "chatbot": 50, "stt": 10}, resources=Resources(),
    sla_target=SlaTarget(availability="99.9%"), created_at=NOW, updated_at=NOW,
)  # fmt: skip


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Its clock stands still: what time does is done when we say so."""
    running = Simulator(tmp_path_factory.mktemp("rendered") / "state", "--manual-clock").start()
    yield running
    running.kill()


def test_every_rendered_object_passes_dry_runs_is_applied_and_deleted(
    kubectl: Kubectl, simulator: Simulator
) -> None:
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
    same = kubectl.run("diff", "-f", "-", stdin=manifest)
    assert (same.returncode, same.stdout) == (0, ""), same.stderr
    # The namespace goes first, and everything in it is there until its controller comes to it.
    deleted = kubectl("delete", "--wait=false", "-f", "-", stdin=manifest)
    assert deleted.count(" deleted") == len(objects)
    assert kubectl.json("get", "namespace", "ecp-ai-rendered")["status"]["phase"] == "Terminating"
    simulator.ok("POST", "/api/v1/clock/advance", {"seconds": 20})
    assert "not found" in kubectl.fails("get", "namespace", "ecp-ai-rendered")
