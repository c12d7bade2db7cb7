"""The users' Secrets in the cluster, which are the service's only memory."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from kubernetes_asyncio.client import CoreV1Api

from casa_hub import names
from casa_hub.objects import fresh, gone, only

EXPIRY_ANNOTATION = "casa/tokens-expire"  # seconds since 1970


@dataclass(frozen=True)
class Stored:
    """A user's Secret as it lies in the cluster; ``expires`` in seconds since 1970."""

    user: str
    uid: str
    version: str
    """Changes with every write."""
    expires: int


def _encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


class SecretStore:
    """Reads and writes users' Secrets in one namespace."""

    def __init__(self, core: CoreV1Api, namespace: str) -> None:
        self._core = core
        self._namespace = namespace

    async def put(self, user: str, files: Mapping[str, bytes], expires: int) -> None:
        """The user's Secret is new and holds these files."""
        name = names.secret_name(user)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "metadata": {
                "name": name,
                "labels": {names.MANAGER_LABEL: names.CREDENTIALS, names.USER_LABEL: names.slug(user)},
                "annotations": {names.USER_ANNOTATION: user, EXPIRY_ANNOTATION: str(expires)},
            },
            "data": _encoded(files),
        }
        await fresh(
            lambda: self._core.create_namespaced_secret(self._namespace, body),
            lambda: self._core.delete_namespaced_secret(name, self._namespace),
            f"Secret {self._namespace}/{name}",
        )

    async def renew(self, stored: Stored, files: Mapping[str, bytes], expires: int) -> None:
        """These files of the user's Secret are new; a Secret that is gone, or was written since, stays as it is."""
        body = {
            # a patch that names a version is refused with 409 when the object has another
            "metadata": {"resourceVersion": stored.version, "annotations": {EXPIRY_ANNOTATION: str(expires)}},
            "data": _encoded(files),
        }
        await gone(self._core.patch_namespaced_secret(names.secret_name(stored.user), self._namespace, body))

    async def delete(self, user: str, uid: str | None) -> None:
        """The user's Secret is gone; with a uid, only that one."""
        await gone(self._core.delete_namespaced_secret(names.secret_name(user), self._namespace, body=only(uid)))

    async def all(self) -> list[Stored]:
        """Every Secret that this service made."""
        found = await self._core.list_namespaced_secret(
            self._namespace, label_selector=f"{names.MANAGER_LABEL}={names.CREDENTIALS}"
        )
        stored = []
        for item in found.items:
            annotations = item.metadata.annotations or {}
            user, expires = annotations.get(names.USER_ANNOTATION), annotations.get(EXPIRY_ANNOTATION, "")
            if user and expires.isdecimal():
                stored.append(Stored(user, item.metadata.uid, item.metadata.resource_version, int(expires)))
        return stored
