"""From a request to an answer: which verb on which target, and every failure as a `Status`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ecpmon.kube.causes import Cause
from ecpmon.simulator.engine import Engine
from ecpmon.simulator.exporters.serving import Exporters
from ecpmon.simulator.kube import (
    announcing,
    gate,
    pods,
    policy,
    reading,
    rendering,
    resizing,
    reviews,
    scaling,
    token_requests,
    virtual,
    watching,
    writing,
)
from ecpmon.simulator.kube.answers import answered, respond, warned
from ecpmon.simulator.kube.bodies import APPLY_TYPE, delete_options, eviction, patch_of, resize_of
from ecpmon.simulator.kube.catalogue import VIRTUAL
from ecpmon.simulator.kube.checking import Write
from ecpmon.simulator.kube.custom import catalogue_of
from ecpmon.simulator.kube.hub import Hub
from ecpmon.simulator.kube.negotiation import JSON, Wish, content_type_of, read_document, wish_of
from ecpmon.simulator.kube.paths import Target, target_of
from ecpmon.simulator.kube.query import dry_run, flag, list_options, watch_options, write_of
from ecpmon.simulator.kube.status import Document, invalid, method_not_allowed, no_such_path
from ecpmon.simulator.model import kube as cluster
from ecpmon.simulator.model.state import ClusterState

T = TypeVar("T")
Change = Callable[[ClusterState], tuple[ClusterState, T]]
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Api:
    """The objects of the cluster over HTTP."""

    def __init__(self, engine: Engine, hub: Hub) -> None:
        self.engine = engine
        self.hub = hub
        self.exporters = Exporters(engine)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any path of a collection, an object or a subresource."""
        return await answered(request, self._dispatch)

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        await gate.admit(request, self.engine)
        target = target_of(request.path, catalogue_of(self.engine.current))
        if target is None:
            raise no_such_path()
        wish = wish_of(request.headers.get("Accept"))
        verb = _verb(request, target)
        if target.resource in VIRTUAL:
            return await self._virtual(request, target, wish)
        if target.subresource is not None and target.subresource.name not in ("status", "scale", "resize"):
            return await self._below(request, target, wish)
        if verb in ("list", "watch"):
            return await self._many(request, target, wish, watch=verb == "watch")
        if verb == "get":
            return await self._one(request, target, wish)
        if verb == "create":
            return await self._create(request, target, wish)
        if verb in ("update", "patch"):
            return await self._change(request, target, wish, verb)
        return await self._delete(request, target, wish)

    # Reading

    async def _many(
        self, request: web.Request, target: Target, wish: Wish, *, watch: bool
    ) -> web.StreamResponse:
        options = list_options(target, request.query)
        state = await self.engine.view()
        if watch:
            if wish.media != JSON:
                wish = Wish(JSON, wish.form)
            watcher = watching.Watch(self.hub, target, options, wish)
            return await watching.stream(request, watcher, watch_options(request.query))
        documents, metadata = reading.page(self.hub, state, target, options)
        body = rendering.many(target.resource, documents, metadata, wish.form, state.now, options.include)
        return respond(body, wish)

    async def _one(self, request: web.Request, target: Target, wish: Wish) -> web.Response:
        state = await self.engine.view()
        document = writing.existing(state, target)
        if target.subresource is not None and target.subresource.name == "scale":
            return respond(scaling.scale_document(target.resource, document), wish)
        return self._rendered(request, target, document, wish, state)

    def _rendered(
        self,
        request: web.Request,
        target: Target,
        document: Document,
        wish: Wish,
        state: ClusterState,
        status: int = 200,
    ) -> web.Response:
        if document.get("kind") != target.resource.kind:  # a Status or a Scale
            return respond(document, wish, status)
        include = request.query.get("includeObject", "")
        return respond(rendering.one(target.resource, document, wish.form, state.now, include), wish, status)

    async def _virtual(self, request: web.Request, target: Target, wish: Wish) -> web.Response:
        if request.method == "POST":
            body = await read_document(request)
            answer = reviews.review(await self.engine.view(), target, body, request[gate.CALLER])
            return respond(answer, wish, 201)
        options = list_options(target, request.query)
        state = await self.engine.view()
        documents = virtual.measured(state, target, options)
        if not target.name:
            metadata = {"resourceVersion": str(state.revision)}
            body = rendering.many(target.resource, documents, metadata, wish.form, state.now, options.include)
            return respond(body, wish)
        if not documents:
            raise target.not_found()
        return self._rendered(request, target, documents[0], wish, state)

    # Writing

    async def _stored(self, request: web.Request, change: Change[T], *, dry: bool) -> T:
        """Run `change` at the current instant and keep its state, unless this is only a trial."""
        change = policy.guarded(change, request[gate.CALLER], request[gate.ASKED])
        if dry:
            return change(await self.engine.view())[1]
        return await self.engine.command(change)

    async def _create(self, request: web.Request, target: Target, wish: Wish) -> web.Response:
        write = write_of(request.query, request.headers.get("User-Agent", ""))
        body = await read_document(request)
        document = await self._stored(
            request, lambda state: writing.create(state, target, body, write), dry=dry_run(request.query, {})
        )
        response = self._rendered(request, target, document, wish, self.hub.state, 201)
        return warned(response, write)

    async def _change(self, request: web.Request, target: Target, wish: Wish, verb: str) -> web.Response:
        write = write_of(request.query, request.headers.get("User-Agent", ""))
        dry = dry_run(request.query, {})
        created = False
        if target.subresource is not None and target.subresource.name == "resize":
            change = await resize_of(request, target)
            document = await self._stored(
                request, lambda state: resizing.resize(state, target, change, write), dry=dry
            )
        elif verb == "update":
            body = await read_document(request)
            document = await self._stored(request, _replacement(target, body, write), dry=dry)
        elif content_type_of(request) == APPLY_TYPE:
            document, created = await self._apply(request, target, write, dry=dry)
        else:
            patch = await patch_of(request, target)
            document = await self._stored(request, _patching(target, patch, write), dry=dry)
        status = 201 if created else 200
        return warned(self._rendered(request, target, document, wish, self.hub.state, status), write)

    async def _apply(
        self, request: web.Request, target: Target, write: Write, *, dry: bool
    ) -> tuple[Document, bool]:
        if not request.query.get("fieldManager"):
            message = "Required value: is required for apply patch"
            cause = Cause("FieldValueRequired", message, "fieldManager")
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
        body = await read_document(request, (APPLY_TYPE,))
        if target.subresource is not None and target.subresource.name == "scale":
            scaled = await self._stored(
                request, lambda state: scaling.rescale(state, target, lambda _: body, write), dry=dry
            )
            return scaled, False
        return await self._stored(
            request, lambda state: writing.apply_patch(state, target, body, write), dry=dry
        )

    async def _delete(self, request: web.Request, target: Target, wish: Wish) -> web.Response:
        options = await delete_options(request)
        dry = dry_run(request.query, options)
        if target.name:
            document = await self._stored(
                request, lambda state: writing.delete(state, target, options), dry=dry
            )
            return self._rendered(request, target, document, wish, self.hub.state)
        chosen = list_options(target, request.query)

        def all_of_them(state: ClusterState) -> tuple[ClusterState, list[Document]]:
            found = reading.selected(state, target, chosen)
            for document in found:
                metadata = document["metadata"]
                single = Target(target.resource, metadata.get("namespace", ""), metadata["name"])
                # Deleting one may have taken another along: an owner and what it owns.
                if cluster.get(state, single.key) is not None:
                    state, _ = writing.delete(state, single, options)
            return state, found

        documents = await self._stored(request, all_of_them, dry=dry)
        metadata = {"resourceVersion": str(self.hub.state.revision)}
        now = self.hub.state.now
        return respond(rendering.many(target.resource, documents, metadata, wish.form, now), wish)

    # What is below pods and service accounts

    async def _below(self, request: web.Request, target: Target, wish: Wish) -> web.StreamResponse:
        name = target.subresource.name if target.subresource else ""
        if name == "eviction":
            body = await eviction(request)
            dry = dry_run(request.query, body.get("deleteOptions") or {})
            document = await self._stored(request, lambda state: pods.evict(state, target, body), dry=dry)
            return respond(document, wish, 201)
        if name == "token":
            body = await read_document(request)
            return respond(token_requests.requested(await self.engine.view(), target, body), wish, 201)
        if name == "proxy":
            return await self._proxied(request, target)
        return await self._log(request, target)

    async def _proxied(self, request: web.Request, target: Target) -> web.StreamResponse:
        """What a node, a service or a pod itself would answer."""
        name, path = pods.proxied_name(target), target.rest.strip("/")
        if target.resource.plural == "nodes":
            return await self.exporters.kubelet(request, name, path)
        state = await self.engine.view()
        if target.resource.plural == "services":
            if (target.namespace, name) == (announcing.NAMESPACE, announcing.NAME):
                return await self.exporters.state(request, path)
            target = pods.behind(state, target)
        text = pods.proxied(state, target)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _log(self, request: web.Request, target: Target) -> web.StreamResponse:
        lines = pods.log_lines(await self.engine.view(), target, request.query)
        if not flag(request.query, "follow"):
            return web.Response(text="".join(f"{line}\n" for line in lines), content_type="text/plain")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await self._follow_log(request, response, target, lines)
        return response

    async def _follow_log(
        self, request: web.Request, response: web.StreamResponse, target: Target, lines: list[str]
    ) -> None:
        since = self.hub.state.now
        while True:
            await watching.send(response, [f"{line}\n".encode() for line in lines])
            await asyncio.sleep(1.0)
            if self.hub.closed or request.transport is None:
                return
            state = await self.engine.view()
            if cluster.get(state, target.key) is None:
                return
            lines = cluster.pod_log(state, target.key, since=since, tail=None, previous=False)
            since = state.now
            if not flag(request.query, "timestamps"):
                lines = [pods.untimed(line) for line in lines]


def _verb(request: web.Request, target: Target) -> str:
    """The API verb of the request; ApiError 405 when the target has no such verb."""
    verb = _VERBS.get(request.method, request.method.lower())
    sub = target.subresource
    if sub is None:
        if request.method == "GET" and (target.watched or flag(request.query, "watch")):
            verb = "watch"
        elif not target.name:
            verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
        fits = (
            (verb not in ("create",))
            if target.name
            else verb in ("list", "watch", "deletecollection", "create")
        )
        allowed = target.resource.verbs if fits else ()
    else:
        allowed = sub.verbs
    creates = verb == "create" and not target.namespace and target.resource.namespaced
    if verb not in allowed or (creates and sub is None):
        raise method_not_allowed(verb, target.resource.plural, target.resource.group)
    return verb


def _replacement(target: Target, body: Document, write: Write) -> Change[Document]:
    if target.subresource is not None and target.subresource.name == "scale":
        return lambda state: scaling.rescale(state, target, lambda _: body, write)
    return lambda state: writing.replace(state, target, body, write)


def _patching(target: Target, patch: writing.Patch, write: Write) -> Change[Document]:
    if target.subresource is not None and target.subresource.name == "scale":
        return lambda state: scaling.rescale(state, target, patch, write)
    return lambda state: writing.patch(state, target, patch, write)
