"""The part of a draft that holds documents: Kubernetes objects kept as they are, events and deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ecpmon.simulator.model.hashing import uid
from ecpmon.simulator.model.keys import Document, ObjectKey
from ecpmon.simulator.model.objects import Happening
from ecpmon.simulator.model.times import Micros, timestamp

MAX_TOMBSTONES = 4096
STORAGE_CLASSES: Final = "storageclasses.storage.k8s.io"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
PROVISIONER: Final = "disk.simulator.ecp.ai"
_STANDARD: Final = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}


class DocumentDraft:
    """Documents, events and tombstones being changed within the instant `now`, and the revision they count.

    `dirty` are the namespaces that have to be looked at again when the instant is over.
    """

    def __init__(
        self,
        seed: int,
        now: Micros,
        revision: int,
        objects: Mapping[str, Mapping[str, Document]],
        happenings: Mapping[str, Mapping[str, Happening]],
        tombstones: Sequence[tuple[int, str]],
    ) -> None:
        self.seed = seed
        self.now = now
        self.revision = revision
        self.objects = dict(objects)
        self.happenings = dict(happenings)
        self.tombstones = list(tombstones)
        self.dirty: set[str] = set()
        self._own: set[int] = set()

    def next_revision(self) -> int:
        self.revision += 1
        return self.revision

    def bury(self, resource: str, namespace: str, name: str) -> None:
        """Remember at which revision an object went."""
        self.tombstones.append((self.next_revision(), f"{resource} {namespace} {name}"))
        if len(self.tombstones) > 2 * MAX_TOMBSTONES:
            del self.tombstones[:-MAX_TOMBSTONES]

    def object(self, key: ObjectKey) -> Document | None:
        return self.objects.get(key.namespace, {}).get(key.path)

    def objects_of(self, namespace: str, resource: str) -> list[Document]:
        """The documents of one kind in a namespace."""
        prefix = f"{resource}/"
        return [found for path, found in self.objects.get(namespace, {}).items() if path.startswith(prefix)]

    def put_object(self, key: ObjectKey, document: Document, *, followed: bool = True) -> Document:
        """Store a document under a new resourceVersion; the answer is what is stored.

        `followed` is for what others follow from: a status, or what is derived itself, is nobody's cause.
        """
        metadata = {**document["metadata"], "resourceVersion": str(self.next_revision())}
        stored = {**document, "metadata": metadata}
        self._writable(key.namespace)[key.path] = stored
        if followed:
            self.dirty.add(key.namespace)
        return stored

    def drop_object(self, key: ObjectKey) -> None:
        del self._writable(key.namespace)[key.path]
        self.bury(key.resource, key.namespace, key.name)
        self.dirty.add(key.namespace)

    def _writable(self, namespace: str) -> dict[str, Document]:
        """This namespace's documents, copied once per draft."""
        found = self.objects.get(namespace)
        if isinstance(found, dict) and id(found) in self._own:
            return found
        made = dict(found or {})
        self._own.add(id(made))
        self.objects[namespace] = made
        return made

    def writable_happenings(self, namespace: str) -> dict[str, Happening]:
        """This namespace's events, copied once per draft."""
        found = self.happenings.get(namespace)
        if isinstance(found, dict) and id(found) in self._own:
            return found
        made = dict(found or {})
        self._own.add(id(made))
        self.happenings[namespace] = made
        return made

    def open_namespace(self, name: str, labels: dict[str, str]) -> None:
        """Make a namespace with its default ServiceAccount, unless it exists."""
        key = ObjectKey("namespaces", "", name)
        if self.object(key) is not None:
            return
        labels = {**labels, "kubernetes.io/metadata.name": name}
        document = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {**self.identity(key), "labels": labels},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        self.put_object(key, document)
        self.greet_namespace(name)

    def open_storage_class(self) -> None:
        """Make the class whose disks the cluster has, unless it exists."""
        key = ObjectKey(STORAGE_CLASSES, "", "standard")
        if self.object(key) is None:
            metadata = {**self.identity(key), "annotations": {DEFAULT_CLASS: "true"}}
            self.put_object(key, {**_STANDARD, "metadata": metadata})

    def greet_namespace(self, name: str) -> None:
        """What a new namespace gets by itself."""
        key = ObjectKey("serviceaccounts", name, "default")
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": self.identity(key)}
        self.put_object(key, account)

    def identity(self, key: ObjectKey) -> Document:
        """The metadata that every new object gets."""
        made = uid(self.seed, key.resource, key.namespace, key.name, self.revision)
        namespace = {"namespace": key.namespace} if key.namespace else {}
        return {"name": key.name, **namespace, "uid": made, "creationTimestamp": timestamp(self.now)}
