"""Deployments come, change and go: shared by the REST commands and the Kubernetes API."""

from __future__ import annotations

from dataclasses import replace

from ecpmon.simulator.model import claims, workloads
from ecpmon.simulator.model.controllers import drop, replica_set_key
from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.keys import ObjectKey
from ecpmon.simulator.model.limits import filled
from ecpmon.simulator.model.manifests import labels_of, spec_of, template_hash, tenant_of_namespace
from ecpmon.simulator.model.objects import (
    LABEL_SERVICE,
    LABEL_TENANT,
    Deployment,
    Manifest,
    Meta,
    Owner,
    ReplicaSet,
    ServiceSpec,
    Traffic,
)
from ecpmon.simulator.model.quotas import CLAIMS
from ecpmon.simulator.model.selecting import matches
from ecpmon.simulator.model.state import Draft
from ecpmon.simulator.model.tenants import Tenant, namespace_of
from ecpmon.simulator.model.traffic import traffic_at
from ecpmon.simulator.model.workload import pod_sessions


def open_tenant(draft: Draft, tenant_id: str) -> Tenant:
    """The tenant, made with its namespace when it is new."""
    tenant = draft.tenants.get(tenant_id)
    if tenant is None:
        tenant = Tenant(tenant_id, draft.ordinals, draft.now, ())
        draft.ordinals += 1
        draft.tenants[tenant_id] = tenant
    draft.open_namespace(namespace_of(tenant_id), {LABEL_TENANT: tenant_id})
    return tenant


def put_deployment(draft: Draft, key: str, manifest: Manifest, spec: ServiceSpec | None = None) -> Deployment:
    """Create or change a deployment. Without `spec`, the manifest says what the service is.

    In a tenant's namespace, with the tenant's label, it joins the tenant.
    """
    found = draft.deployments.get(key)
    namespace, name = key.split("/", 1)
    labels = labels_of(manifest)
    tenant_id = found.tenant_id if found else tenant_of_namespace(namespace, labels)
    if spec is None:
        service = found.spec.name if found else _service(draft, key, tenant_id, labels)
        pods = filled(draft, namespace, manifest["spec"]["template"].get("spec") or {})
        spec = spec_of(service, manifest, pods, found.spec if found else None)
    if found is None:
        made = _new(draft, namespace, name, tenant_id, manifest, spec)
    else:
        made = _changed(draft, found, manifest, spec)
    draft.deployments[key] = made
    draft.pods_of.setdefault(key, ())
    if found is None:
        made = _adopt(draft, made)
    draft.stir(key)
    draft.dirty.add(namespace)
    if tenant_id:
        _join(draft, made)
    return made


def _service(draft: Draft, key: str, tenant_id: str, labels: dict[str, str]) -> str:
    """The service's name: the label, unless another deployment of the tenant has it already."""
    wanted = labels.get(LABEL_SERVICE) or key.split("/", 1)[1]
    tenant = draft.tenants.get(tenant_id)
    if not tenant_id:
        return key
    taken = tenant is not None and wanted in tenant.services and tenant.key_of(wanted) != key
    return key.split("/", 1)[1] if taken else wanted


def _join(draft: Draft, deployment: Deployment) -> None:
    tenant = open_tenant(draft, deployment.tenant_id)
    service, name = deployment.spec.name, deployment.meta.name
    if service not in tenant.services:
        aliases = tenant.aliases if service == name else {**tenant.aliases, service: name}
        tenant = replace(tenant, services=(*tenant.services, service), aliases=aliases)
        draft.tenants[deployment.tenant_id] = tenant
    draft.touched.add(deployment.tenant_id)


def _new(
    draft: Draft, namespace: str, name: str, tenant_id: str, manifest: Manifest, spec: ServiceSpec
) -> Deployment:
    version = draft.next_revision()
    key = f"{namespace}/{name}"
    meta = Meta(
        name=name,
        namespace=namespace,
        uid=uid(draft.seed, "deployment", key, version),
        created_at=draft.now,
        resource_version=version,
        labels=labels_of(manifest),
    )
    return Deployment(
        meta=meta,
        tenant_id=tenant_id,
        spec=spec,
        template_hash=template_hash(draft.seed, manifest["spec"]["template"]),
        revision=1,
        pod_sessions=pod_sessions(spec),
        traffic=Traffic(draft.now),
        manifest=manifest,
        progressed_at=draft.now,
    )


def _changed(draft: Draft, found: Deployment, manifest: Manifest, spec: ServiceSpec) -> Deployment:
    """A pod's capacity follows its CPU; more replicas of the same pod serve more sessions."""
    hashed = template_hash(draft.seed, manifest["spec"]["template"])
    version = draft.next_revision()
    before = found.spec.resources.cpu_millicores
    grown = spec.resources.cpu_millicores / before if before and spec.resources.cpu_millicores else 1.0
    fresh = found.spec.sessions == 0 or found.spec.replicas == 0
    turned = manifest["spec"] != found.manifest.get("spec")
    return replace(
        found,
        meta=replace(
            found.meta,
            generation=found.meta.generation + turned,
            resource_version=version,
            labels=labels_of(manifest),
        ),
        traffic=traffic_at(draft.seed, found, draft.now),
        spec=spec,
        template_hash=hashed,
        revision=found.revision + (hashed != found.template_hash),
        pod_sessions=pod_sessions(spec) if fresh else found.pod_sessions * grown,
        manifest=manifest,
        progressed_at=draft.now if turned else found.progressed_at,
    )


def rescale(draft: Draft, deployment: Deployment, replicas: int, *, designed: bool = False) -> None:
    """Change the number of replicas and nothing else; `designed`: to the number that its sessions are meant for."""
    spec = {**deployment.manifest["spec"], "replicas": replicas}
    made = put_deployment(draft, deployment.meta.key, {**deployment.manifest, "spec": spec})
    if designed:
        draft.deployments[made.meta.key] = replace(made, pod_sessions=pod_sessions(made.spec))


def drop_deployment(draft: Draft, key: str, *, graceful: bool) -> None:
    """Remove a deployment with its replica sets and pods, from its tenant as well."""
    gone = draft.deployments[key]
    for pod in draft.pods_in(key):
        if graceful:
            drop(draft, pod)
        else:
            draft.drop_pod(pod.meta.key)
    draft.pods_of.pop(key, None)
    for replica_set in draft.replica_sets_of(key):
        draft.drop_replica_set(replica_set.meta.key)
    leave(draft, gone)
    del draft.deployments[key]
    draft.dirty.add(gone.meta.namespace)
    draft.bury("deployments.apps", gone.meta.namespace, gone.meta.name)


def leave(draft: Draft, gone: Deployment) -> None:
    """The service is no longer its tenant's."""
    tenant = draft.tenants.get(gone.tenant_id)
    if tenant is None or tenant.key_of(gone.spec.name) != gone.meta.key:
        return
    services = tuple(name for name in tenant.services if name != gone.spec.name)
    aliases = {name: target for name, target in tenant.aliases.items() if name != gone.spec.name}
    draft.tenants[tenant.tenant_id] = replace(tenant, services=services, aliases=aliases)
    draft.touched.add(tenant.tenant_id)


def clear_namespace(draft: Draft, namespace: str) -> None:
    """Remove everything in a namespace at once, whoever holds it, but not the namespace itself."""
    prefix = f"{namespace}/"
    for key in [key for key in draft.deployments if key.startswith(prefix)]:
        drop_deployment(draft, key, graceful=False)
    for pod in draft.pods_within(namespace):
        draft.drop_pod(pod.meta.key)
    for key in [key for key in draft.replica_sets if key.startswith(prefix)]:
        draft.pods_of.pop(draft.replica_sets[key].group, None)
        draft.drop_replica_set(key)
    for claim in draft.objects_of(namespace, CLAIMS):
        claims.release(draft, claim)
    for path in draft.objects.pop(namespace, {}):
        resource, _, name = path.partition("/")
        draft.pods_of.pop(workloads.group_of(ObjectKey(resource, namespace, name)), None)
        draft.bury(path.partition("/")[0], namespace, path.partition("/")[2])
    for name in draft.happenings.pop(namespace, {}):
        draft.bury("events", namespace, name)
    for key in [key for key in draft.terminating if key.startswith(prefix)]:
        draft.end_pod(key)


def orphan_replica_sets(draft: Draft, key: str) -> None:
    """Let go of a deployment's replica sets and pods; they stay, and are nobody's."""
    for found in draft.replica_sets_of(key):
        draft.drop_replica_set(found.meta.key)
        draft.tombstones.pop()
        meta = replace(found.meta, owners=())
        spec = {**found.manifest["spec"], "replicas": found.desired}
        freed = replace(found, meta=meta, deployment="", manifest={**found.manifest, "spec": spec})
        draft.put_replica_set(freed)
        mine = [p for p in draft.pods_in(key) if p.replica_set == meta.key]
        draft.pods_of[freed.group] = tuple(p.meta.key for p in mine)
        for pod in mine:
            draft.put_pod(replace(pod, deployment="", tenant_id="", service=""))
    draft.pods_of[key] = ()


def _adopt(draft: Draft, made: Deployment) -> Deployment:
    """Take what its selector finds and nobody owns: replica sets that `--cascade=orphan` left behind."""
    key, space = made.meta.key, made.meta.namespace
    selector = made.manifest["spec"].get("selector")
    taken = [
        found
        for found in draft.replica_sets.values()
        if found.meta.namespace == space
        and not found.deployment
        and not found.meta.owners
        and matches(selector, labels_of(found.manifest["spec"]["template"]))
    ]
    for found in taken:
        _take(draft, made, found)
    if taken:
        newest = max(taken, key=lambda s: s.revision)
        made = replace(made, revision=newest.revision + (newest.meta.key != replica_set_key(made)))
        draft.deployments[key] = made
    return made


def _take(draft: Draft, made: Deployment, found: ReplicaSet) -> None:
    """The reverse of `orphan_replica_sets`, for one of them."""
    mine = draft.pods_in(found.group)
    draft.drop_replica_set(found.meta.key)
    draft.tombstones.pop()
    draft.pods_of.pop(found.group, None)
    spec = {name: value for name, value in found.manifest["spec"].items() if name != "replicas"}
    meta = replace(found.meta, owners=(Owner("Deployment", made.meta.name, made.meta.uid),))
    manifest = {**found.manifest, "spec": spec}
    draft.put_replica_set(replace(found, meta=meta, deployment=made.meta.key, manifest=manifest))
    for pod in mine:
        draft.put_pod(
            replace(pod, deployment=made.meta.key, tenant_id=made.tenant_id, service=made.spec.name)
        )
    draft.pods_of[made.meta.key] = (*draft.pods_of[made.meta.key], *(p.meta.key for p in mine))


def orphan_pods(draft: Draft, replica_set: ReplicaSet) -> None:
    """Let go of a replica set's pods."""
    for pod in draft.pods_in(replica_set.group):
        if pod.replica_set != replica_set.meta.key:
            continue
        draft.pods_of[pod.group] = tuple(k for k in draft.pods_of[pod.group] if k != pod.meta.key)
        bare = replace(
            pod,
            meta=replace(pod.meta, owners=()),
            manifest=draft.manifest_of(pod),
            deployment="",
            replica_set="",
            tenant_id="",
            service="",
        )
        draft.pods_of[""] = (*draft.pods_of.get("", ()), pod.meta.key)
        draft.put_pod(bare)


def drop_replica_set(draft: Draft, found: ReplicaSet) -> None:
    """Remove a replica set with its pods; its deployment makes another one, if it still wants it."""
    for pod in draft.pods_in(found.group):
        if pod.replica_set == found.meta.key:
            drop(draft, pod)
    if not found.deployment:
        draft.pods_of.pop(found.group, None)
    draft.drop_replica_set(found.meta.key)
    draft.stir(found.deployment)
    draft.dirty.add(found.meta.namespace)
