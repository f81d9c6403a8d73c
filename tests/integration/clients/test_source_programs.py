"""The programs of the source documents that bring a library of their own: psycopg2 and the Kubernetes client.

Written anew, used as the documents use them (docs/source-documents.md).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
import requests
import yaml
from kubernetes import client, config, utils
from kubernetes.client.rest import ApiException

from ecpmon.client import ECPClient
from ecpmon.storage.database import Database
from ecpmon.storage.roles import Login, ensure_roles
from tests.integration.clients.conftest import Application
from tests.waiting import PATIENCE, wait_until

# Roles belong to the whole server, which other tests use as well.
WRITER = Login("guide_user", "ecp_password", writes=True)
DEMO_WRITER = Login("guide_demo_user", "ecp_demo_password", writes=True)


async def _made(application: Application) -> None:
    for dsn, login in ((application.dsn, WRITER), (application.demo_dsn, DEMO_WRITER)):
        database = Database(dsn)
        await ensure_roles(database, [login])
        await database.close()


@pytest.fixture(scope="module")
def logins(application: Application) -> None:
    """What `ecpmon migrate` makes."""
    asyncio.run(_made(application))


class GuideDatabase:
    """The guide's client of the databases."""

    def __init__(self, application: Application, is_demo: bool) -> None:
        self.is_demo = is_demo
        login = DEMO_WRITER if is_demo else WRITER
        parts = urlsplit(application.demo_dsn if is_demo else application.dsn)
        self.conn = psycopg2.connect(
            host=parts.hostname,
            port=parts.port,
            database=parts.path[1:],
            user=login.name,
            password=login.password,
        )

    def create_tenant(self, tenant: dict[str, Any]) -> int:
        cursor = self.conn.cursor()
        cursor.execute(
            "INSERT INTO tenants (tenant_id, name, preset, is_demo, service_requirements, resources, sla_target,"
            " cpu_limit, memory_limit, gpu_limit) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (
                tenant["tenant_id"], tenant["name"], tenant["preset"], self.is_demo,
                json.dumps(tenant["service_requirements"]), json.dumps(tenant["resources"]),
                json.dumps(tenant["sla_target"]), tenant.get("cpu_limit"), tenant.get("memory_limit"),
                tenant.get("gpu_limit"),
            ),
        )  # fmt: skip
        number: int = cursor.fetchone()[0]
        self.conn.commit()
        return number

    def insert_monitoring_data(self, number: int, metrics: dict[str, float]) -> None:
        cursor = self.conn.cursor()
        for kind, value in metrics.items():
            cursor.execute(
                "INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value)"
                " VALUES (%s, %s, %s, %s)",
                (number, kind, kind, value),
            )
        self.conn.commit()

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.conn.cursor()
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        self.conn.commit()
        return found


@pytest.fixture(params=[False, True], ids=["production", "demo"])
def database(
    request: pytest.FixtureRequest, application: Application, logins: None
) -> Iterator[GuideDatabase]:
    opened = GuideDatabase(application, request.param)
    yield opened
    opened.conn.close()


METRICS = {"cpu": 65.5, "memory": 78.2, "gpu": 85.0}


def test_a_tenant_made_by_sql_is_one_of_the_api_and_so_is_what_it_measures(
    application: Application, database: GuideDatabase
) -> None:
    name = application.name()
    tenant = {
        "tenant_id": name, "name": "내 새로운 서비스", "preset": "medium", "service_requirements": {"chatbot": 50},
        "resources": {"cpu": "8000m", "memory": "16Gi"}, "sla_target": {"availability": "99.9%"}, "cpu_limit": "8000m",
        "memory_limit": "16Gi", "gpu_limit": 2,
    }  # fmt: skip
    number = database.create_tenant(tenant)
    database.insert_monitoring_data(number, METRICS)
    counted = database.rows(
        "SELECT tenant_id, metric_type, COUNT(*) FROM monitoring_data WHERE timestamp > NOW() - INTERVAL '1 hour'"
        " AND tenant_id = %s GROUP BY tenant_id, metric_type",
        number,
    )
    assert set(counted) == {(number, kind, 1) for kind in METRICS}
    # A measurement of the simulator's, as the guide to it keeps one.
    cursor = database.conn.cursor()
    cursor.execute(
        "INSERT INTO monitoring_data (tenant_id, metric_type, metric_name, metric_value, data_source)"
        " VALUES (%s, 'sla', 'availability', 99.7, 'k8s-simulator')",
        (number,),
    )
    database.conn.commit()
    with ECPClient(application.base_url, is_demo=database.is_demo) as api:
        shown = api.get_tenant(name)
        assert (shown["name"], shown["sla_target"]["availability"]) == (tenant["name"], "99.9%")
        read = api.get_monitoring(name, hours=1, interval="1m")
        assert {kind: read["metrics"][kind][0]["value"] for kind in METRICS} == METRICS
        assert read["sources"]["k8s-simulator"]["metrics"]["availability"][0]["value"] == 99.7


TENANTS = {
    "id", "tenant_id", "name", "preset", "is_demo", "status", "service_requirements", "resources", "sla_target",
    "cpu_limit", "memory_limit", "gpu_limit", "storage_limit", "gpu_type", "created_at", "updated_at",
}  # fmt: skip
DATA = {"id", "tenant_id", "metric_type", "metric_name", "metric_value", "timestamp"}


def test_the_tables_have_the_columns_of_the_guide(database: GuideDatabase) -> None:
    for table, columns in (("tenants", TENANTS), ("monitoring_data", DATA)):
        found = database.rows(
            "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0", table
        )
        assert columns <= {row[0] for row in found}
    assert database.rows("SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    ("statement", "answer"),
    [
        ("CREATE INDEX idx_tenants_status_created ON tenants(status, created_at) WHERE status = 'running'",
         "must be owner"),
        ("CREATE INDEX idx_monitoring_tenant_time ON monitoring_data(tenant_id, timestamp DESC)", "must be owner"),
        ("CREATE TABLE monitoring_data_2024_01 PARTITION OF monitoring_data FOR VALUES FROM ('2024-01-01') TO"
         " ('2024-02-01')", "permission denied|is not partitioned"),
        ("CREATE OR REPLACE FUNCTION update_tenant_stats() RETURNS void AS $$ BEGIN ANALYZE tenants; END;"
         " $$ LANGUAGE plpgsql", "permission denied for schema compat"),
        ("SELECT cron.schedule('update-stats', '0 2 * * *', 'SELECT 1')", 'schema "cron" does not exist'),
    ],
    ids=["index-of-tenants", "index-of-data", "partition", "function", "cron"],
)  # fmt: skip
def test_what_administrators_of_the_guide_do_is_done_here_already_and_refused(
    application: Application, logins: None, statement: str, answer: str
) -> None:
    opened = GuideDatabase(application, is_demo=False)
    try:
        with pytest.raises(psycopg2.Error, match=answer):
            opened.rows(statement)
    finally:
        opened.conn.close()


def test_who_gives_the_name_of_a_tenant_for_its_number_is_told_so(
    application: Application, logins: None
) -> None:
    opened = GuideDatabase(application, is_demo=False)
    try:
        with pytest.raises(psycopg2.Error, match='invalid input syntax for type integer: "my-service"'):
            opened.insert_monitoring_data("my-service", {"cpu": 1.0})  # type: ignore[arg-type]
        opened.conn.rollback()
        with pytest.raises(psycopg2.Error) as refused:
            opened.insert_monitoring_data(999_999, {"cpu": 1.0})
        assert "SELECT id FROM tenants" in refused.value.diag.message_hint
    finally:
        opened.conn.close()


# --- the Kubernetes client ----------------------------------------------------------------------------------------


class GuideDeployment:
    """The guide's service that hands manifests to a cluster, object by object."""

    def __init__(self, kubeconfig: str) -> None:
        api = config.new_client_from_config_dict(yaml.safe_load(kubeconfig))
        core, apps, networking = client.CoreV1Api(api), client.AppsV1Api(api), client.NetworkingV1Api(api)
        self.api, self.apps, self.core = api, apps, core
        self._create = {
            "Deployment": apps.create_namespaced_deployment, "Service": core.create_namespaced_service,
            "Ingress": networking.create_namespaced_ingress, "ConfigMap": core.create_namespaced_config_map,
            "Secret": core.create_namespaced_secret,
        }  # fmt: skip

    def deploy(self, manifest: str) -> list[tuple[str, str, str]]:
        return [self._one(document) for document in yaml.safe_load_all(manifest) if document]

    def _one(self, document: dict[str, Any]) -> tuple[str, str, str]:
        kind, meta = document["kind"], document["metadata"]
        try:
            if kind == "Namespace":
                self.core.create_namespace(body=document)
            elif kind in self._create:
                self._create[kind](namespace=meta["namespace"], body=document)
            else:  # the guide's leaves these out, and pods that need them (claims, accounts) would wait for ever
                utils.create_from_dict(self.api, document)
        except utils.FailToCreateError as error:
            if [each.status for each in error.api_exceptions] != [409]:
                raise
            return kind, meta["name"], "already_exists"
        except ApiException as error:
            if error.status != 409:
                raise
            return kind, meta["name"], "already_exists"
        return kind, meta["name"], "created"

    def status(self, namespace: str) -> tuple[dict[str, bool], int]:
        found = self.apps.list_namespaced_deployment(namespace=namespace).items
        services = self.core.list_namespaced_service(namespace=namespace).items
        ready = {d.metadata.name: (d.status.ready_replicas or 0) == d.spec.replicas for d in found}
        return ready, len(services)


def test_a_manifest_is_brought_out_through_the_kubernetes_api_as_the_guide_does(
    application: Application,
) -> None:
    name = application.tenant()
    with ECPClient(application.base_url) as api:
        manifest = api.get_manifest(name, include_monitoring=False)  # custom kinds are not the library's
    kubeconfig = requests.get(f"{application.simulator_url}/kubeconfig", timeout=PATIENCE).text
    guide, namespace = GuideDeployment(kubeconfig), f"ecp-ai-{name}"
    done = guide.deploy(manifest)
    assert ("Namespace", namespace, "created") in done
    assert ("Deployment", "chatbot", "created") in done
    assert {what for _, _, what in guide.deploy(manifest)} == {"already_exists"}
    wait_until(lambda: set(guide.status(namespace)[0].values()) == {True}, "every deployment is available")
    assert guide.status(namespace)[1] == sum(kind == "Service" for kind, _, _ in done)
    with pytest.raises(ApiException) as missing:
        guide.core.read_namespace("ecp-ai-nobody")
    assert missing.value.status == 404
