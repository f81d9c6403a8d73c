"""A tenant, its manifest, a deployment that is waited for, and live metrics.

    python examples/python/quickstart.py [BASE_URL] [TENANT_ID]

In the demo database, where nothing real is deployed. ECP_API_TOKEN: a token, where the service wants one.
"""

from __future__ import annotations

import os
import sys

from ecp_orchestrator import Conflict, ECPClient


def main(base_url: str = "http://localhost:8001/api/v1", tenant_id: str = "test-ai-service") -> None:
    with ECPClient(base_url, is_demo=True, token=os.environ.get("ECP_API_TOKEN")) as client:
        try:
            made = client.create_tenant(
                {"tenant_id": tenant_id, "name": "테스트 AI 서비스", "service_requirements": {"chatbot": 10}}
            )
            print(f"{made['tenant_id']}: {made['estimated_resources']}, {made['estimated_cost']}")
        except Conflict:
            print(f"{tenant_id} is there already")

        report = client.validate_manifest(client.get_manifest(tenant_id), strict_validation=True)
        print(f"manifest valid: {report['valid']}")

        done = client.deploy(
            tenant_id, wait=True, progress=lambda step: print(f"{step['progress']:3} % {step['phase']}")
        )
        print(f"{done['deployment_id']}: {len(done['created_resources'])} objects")

        client.send_metrics(tenant_id, {"cpu_usage": 65.5, "response_time": 145.8, "up": 1})
        with client.monitoring(tenant_id, ["cpu"]) as messages:
            print(f"live: cpu {next(messages)['metrics']['cpu']} %")
        for window in client.get_sla(tenant_id, windows=["1h", "30d"])["windows"]:
            print(f"{window['window']}: {window['availability']} %, {window['status']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
