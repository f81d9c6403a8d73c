"""The manifest of a tenant that is not stored: what would be deployed, and its findings at their lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ecpmon.api.manifest_preview import _previewed
from ecpmon.api.manifests import ToValidate, ValidateBody, _Cluster
from ecpmon.model.tenants import SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import options_of
from ecpmon.orchestrator.sizing import plan_tenant

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def previewed(services: dict[str, int], gpus: int | None) -> Any:
    """In a cluster of three nodes with so many GPUs; None: nobody can say."""
    target = SlaTarget(availability="99%")
    plan = plan_tenant(services, target, None)
    tenant = Tenant(
        key=0, tenant_id="acme", name="Acme", preset=plan.preset, is_demo=False, status=TenantStatus.PENDING,
        service_requirements=services, resources=plan.resources, sla_target=target, created_at=NOW, updated_at=NOW,
    )  # fmt: skip
    body = ValidateBody(tenant_id="acme", manifest_content="")
    asked = ToValidate(body, None, _Cluster(gpus, 3), strict=True, korean=False)
    return json.loads(_previewed(tenant, options_of({}), asked))


def test_what_is_found_stands_at_its_line_of_the_text_that_came_with_it() -> None:
    found = previewed({"callbot": 60}, gpus=2)
    assert "namespace: ecp-ai-acme" in found["manifest"]
    [finding] = found["validation"]["findings"]
    assert (finding["code"], finding["object"]) == ("GPU_CAPACITY", "Deployment/callbot")
    line = found["manifest"].split("\n")[finding["line"] - 1]
    assert line.strip() == 'nvidia.com/gpu: "1"'


def test_what_is_rendered_is_valid_where_the_cluster_holds_it() -> None:
    for services in ({"callbot": 60}, {"chatbot": 500, "nlp": 100}, {"stt": 100, "tts": 100}):
        validation = previewed(services, gpus=None)["validation"]
        assert (validation["valid"], validation["findings"]) == (True, []), services
