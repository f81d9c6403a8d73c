"""`ecpmon tenant`: sizing, manifests and validation, without a database."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import click

from ecpmon.app.deploying import surroundings
from ecpmon.cli.documents import fields_of
from ecpmon.kube.versions import DEFAULT_VERSION, VERSIONS
from ecpmon.model.tenants import TENANT_ID_PATTERN, SlaTarget, Tenant, TenantStatus
from ecpmon.orchestrator.manifests import options_of, render, to_json, to_yaml
from ecpmon.orchestrator.plans import TenantPlan
from ecpmon.orchestrator.sizing import plan_tenant
from ecpmon.orchestrator.validation import validate_manifest
from ecpmon.settings import Settings

MAX_FILE = 4_000_000
_SETTINGS = "(default: as the settings say)"


class TenantId(click.ParamType[str]):
    """A name that can be part of a namespace."""

    name = "tenant_id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(TENANT_ID_PATTERN, str(value)):
            self.fail("lower-case letters, digits and -, at most 56 characters", param, ctx)
        return str(value)


@click.group()
def tenant() -> None:
    """Size a tenant, render its Kubernetes manifest, validate one. No database is needed."""


def _requirements(pairs: tuple[str, ...], file: TextIO | None) -> dict[str, int]:
    found: dict[str, int] = {}
    if file is not None:
        document = fields_of(file)
        needed = document.get("service_requirements", document)
        if not isinstance(needed, dict):
            raise click.UsageError("--file: service_requirements must be a mapping")
        found.update(needed)
    for pair in " ".join(pairs).split():
        name, _, sessions = pair.partition("=")
        if not sessions.isdecimal() or len(sessions) > 9:
            raise click.UsageError(f"--requirements: expected service=sessions, found {pair!r}")
        found[name] = int(sessions)
    if not found:
        raise click.UsageError("say what is needed: --requirements callbot=50, or --file")
    return found


def _plan(
    requirements: dict[str, int], availability: str, response_time: str | None, preset: str | None
) -> tuple[SlaTarget, TenantPlan]:
    target = SlaTarget(availability=availability, response_time=response_time)
    return target, plan_tenant(requirements, target, preset)


_requirements_option = click.option(
    "--requirements", multiple=True, metavar="SERVICE=SESSIONS", help="May be repeated: callbot=50."
)
_file_option = click.option(
    "--file",
    type=click.File(encoding="utf-8"),
    help="YAML: services to sessions, or with a key service_requirements.",
)
_availability_option = click.option(
    "--availability", default="99.5%", show_default=True, help="The SLA target."
)
_response_option = click.option("--response-time", help="Such as 200ms (default: no promise).")
_preset_option = click.option("--preset", help="micro, small, medium or large (default: the smallest).")


@tenant.command()
@_requirements_option
@_file_option
@_availability_option
@_response_option
@_preset_option
def size(
    requirements: tuple[str, ...],
    file: TextIO | None,
    availability: str,
    response_time: str | None,
    preset: str | None,
) -> None:
    """Print the plan for some services as JSON: preset, cost, replicas, and why."""
    _, plan = _plan(_requirements(requirements, file), availability, response_time, preset)
    click.echo(json.dumps(plan.model_dump(mode="json"), indent=2, ensure_ascii=False))


@tenant.command()
@click.argument("tenant_id", type=TenantId())
@_requirements_option
@_file_option
@_availability_option
@_response_option
@_preset_option
@click.option(
    "--format",
    "shape",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How it is written.",
)
@click.option("--monitoring/--no-monitoring", default=True, show_default=True, help="Prometheus objects.")
@click.option("--ingress/--no-ingress", default=False, show_default=True, help="An Ingress with TLS.")
@click.option("--namespace", help="Another namespace than ecp-ai-TENANT_ID.")
@click.option("--ingress-domain", metavar="DOMAIN", help=f"TENANT_ID.DOMAIN leads to the tenant. {_SETTINGS}")
@click.option("--ingress-class", help=f"Class of the Ingress. {_SETTINGS}")
@click.option("--tls-issuer", help=f"ClusterIssuer of cert-manager for its certificate. {_SETTINGS}")
@click.option("--ingress-namespace", help=f"Namespace of what the tenant is reached through. {_SETTINGS}")
@click.option("--monitoring-namespace", help=f"Namespace of who scrapes it. {_SETTINGS}")
@click.option("--route", type=click.Choice(["ingress", "httproute"]), help=f"What leads to it. {_SETTINGS}")
@click.option("--gateway", metavar="NAMESPACE/NAME", help=f"Gateway of an HTTPRoute. {_SETTINGS}")
def manifest(
    tenant_id: str,
    requirements: tuple[str, ...],
    file: TextIO | None,
    availability: str,
    response_time: str | None,
    preset: str | None,
    shape: str,
    monitoring: bool,
    ingress: bool,
    namespace: str | None,
    **entrance: str | None,
) -> None:
    """Print the Kubernetes manifest of TENANT_ID; the same options give the same bytes."""
    needed = _requirements(requirements, file)
    target, plan = _plan(needed, availability, response_time, preset)
    now = datetime.now(UTC)  # stands in no object
    made = Tenant(
        key=0,
        tenant_id=tenant_id,
        name=None,
        preset=plan.preset,
        is_demo=False,
        status=TenantStatus.PENDING,
        service_requirements=needed,
        resources=plan.resources,
        sla_target=target,
        created_at=now,
        updated_at=now,
    )
    said = {name: value for name, value in entrance.items() if value is not None}
    chosen = {"include_monitoring": monitoring, "include_ingress": ingress, "namespace": namespace}
    objects = render(made, plan, options_of({**surroundings(Settings()), **chosen, **said}))
    click.echo(to_yaml(objects) if shape == "yaml" else to_json(objects), nl=shape == "json")


@tenant.command()
@click.argument("tenant_id", type=TenantId())
@click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--namespace", help="Another namespace than ecp-ai-TENANT_ID.")
@click.option(
    "--kubernetes-version",
    type=click.Choice(VERSIONS),
    default=DEFAULT_VERSION,
    show_default=True,
    help="Whose rules.",
)
@click.option(
    "--cluster-gpus",
    type=click.IntRange(min=0),
    help="An error when more than these are asked for, a warning over 80 %.",
)
@click.option(
    "--cluster-nodes",
    type=click.IntRange(1, 100_000),
    default=1,
    show_default=True,
    help="Each runs the pods of a DaemonSet.",
)
@click.option("--korean", is_flag=True, help="Say why in Korean.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def validate(
    tenant_id: str,
    path: Path,
    namespace: str | None,
    kubernetes_version: str,
    cluster_gpus: int | None,
    cluster_nodes: int,
    korean: bool,
    strict: bool,
) -> None:
    """Check the manifest at PATH (- for standard input) for TENANT_ID. Exit code 1 when it is not valid."""
    with click.open_file(str(path), "rb") as stream:
        text = stream.read(MAX_FILE).decode("utf-8", "replace")
    report = validate_manifest(
        tenant_id,
        text,
        namespace=namespace,
        version=kubernetes_version,
        strict=strict,
        cluster_gpus=cluster_gpus,
        cluster_nodes=cluster_nodes,
    )
    click.echo(json.dumps(report.shown(korean=korean), indent=2, ensure_ascii=False))
    if not report.valid:
        raise click.exceptions.Exit(1)
