"""Creation and removal of users' objects; every call may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubernetes_asyncio.client import ApiException, CoreV1Api, CustomObjectsApi, V1DeleteOptions, V1Preconditions

from casa_hub import manifests, names

CONFLICT, MISSING = 409, 404
ATTEMPTS = 10


@dataclass(frozen=True)
class Found:
    """An object that belongs to a user's server."""

    kind: str
    name: str
    user: str
    uid: str


def only(uid: str | None) -> V1DeleteOptions:
    """Options of a deletion that spares a namesake made since."""
    return V1DeleteOptions(preconditions=V1Preconditions(uid=uid) if uid else None)


async def gone(deletion: Awaitable[Any]) -> None:
    """Delete; an object that is not there (any more, or not under this uid) is as good."""
    try:
        await deletion
    except ApiException as error:
        if error.status not in (MISSING, CONFLICT):
            raise


async def fresh(create: Callable[[], Awaitable[Any]], delete: Callable[[], Awaitable[Any]], name: str) -> None:
    """Create an object; one that is in the way goes first.

    Deletion instead of update: a new uid tells the sweep that the object is in use again.

    :raises RuntimeError: when the old object does not go away.
    """
    for attempt in range(ATTEMPTS):
        try:
            await create()
            return
        except ApiException as error:
            if error.status != CONFLICT:
                raise
        await gone(delete())
        await asyncio.sleep(0.1 * attempt)
    raise RuntimeError(f"{name} exists and does not go away")


class UserObjects:
    """The Services and routes of users' servers."""

    def __init__(self, core: CoreV1Api, custom: CustomObjectsApi, domain: str, users: str, routes: str) -> None:
        self._core = core
        self._custom = custom
        self._domain = domain
        self._users = users
        self._routes = routes

    def _route(self) -> tuple[str, str, str, str]:
        return manifests.ROUTE_GROUP, manifests.ROUTE_VERSION, self._routes, manifests.ROUTE_PLURAL

    async def ensure(self, user: str) -> None:
        """The user's scheduler can be reached by its host name as soon as the pod runs."""
        name = names.dask_name(user)
        service, alias = manifests.service(user), manifests.alias(user, self._users)
        route = manifests.route(user, self._domain)
        core, custom = self._core, self._custom
        await asyncio.gather(
            fresh(lambda: core.create_namespaced_service(self._users, service),
                  lambda: core.delete_namespaced_service(name, self._users), f"Service {self._users}/{name}"),
            fresh(lambda: core.create_namespaced_service(self._routes, alias),
                  lambda: core.delete_namespaced_service(name, self._routes), f"Service {self._routes}/{name}"),
            fresh(lambda: custom.create_namespaced_custom_object(*self._route(), route),
                  lambda: custom.delete_namespaced_custom_object(*self._route(), name),
                  f"IngressRouteTCP {self._routes}/{name}"),
        )

    async def remove(self, user: str) -> None:
        """No route leads to the user's server any more.

        :raises ExceptionGroup: with everything that could not be removed, after trying all.
        """
        name = names.dask_name(user)
        results = await asyncio.gather(
            gone(self._custom.delete_namespaced_custom_object(*self._route(), name)),
            gone(self._core.delete_namespaced_service(name, self._routes)),
            gone(self._core.delete_namespaced_service(name, self._users)),
            return_exceptions=True,
        )
        errors = [result for result in results if isinstance(result, Exception)]
        if errors:
            raise ExceptionGroup(f"objects of {user} remain", errors)

    async def found(self) -> list[Found]:
        """Every object in the cluster that belongs to a server, pods included."""
        ours = f"{names.MANAGER_LABEL}={names.HUB}"
        pod_selector = ",".join(f"{key}={value}" for key, value in names.POD_LABELS.items())
        services, aliases, routes, pods = await asyncio.gather(
            self._core.list_namespaced_service(self._users, label_selector=ours),
            self._core.list_namespaced_service(self._routes, label_selector=ours),
            self._custom.list_namespaced_custom_object(*self._route(), label_selector=ours),
            self._core.list_namespaced_pod(self._users, label_selector=pod_selector),
        )

        def typed(kind: str, items: list[Any], annotation: str) -> list[Found]:
            metadata = [item.metadata for item in items]
            return [Found(kind, m.name, (m.annotations or {}).get(annotation, ""), m.uid) for m in metadata]

        return [
            *typed("service", services.items, names.USER_ANNOTATION),
            *typed("alias", aliases.items, names.USER_ANNOTATION),
            *(
                Found("route", m["name"], m.get("annotations", {}).get(names.USER_ANNOTATION, ""), m["uid"])
                for m in (item["metadata"] for item in routes["items"])
            ),
            *typed("pod", pods.items, names.POD_USER_ANNOTATION),
        ]

    async def delete(self, found: Found) -> None:
        """Delete one object that :meth:`found` returned, unless it has been made anew since."""
        body = only(found.uid)
        match found.kind:
            case "service":
                await gone(self._core.delete_namespaced_service(found.name, self._users, body=body))
            case "alias":
                await gone(self._core.delete_namespaced_service(found.name, self._routes, body=body))
            case "route":
                await gone(self._custom.delete_namespaced_custom_object(*self._route(), found.name, body=body))
            case "pod":
                await gone(self._core.delete_namespaced_pod(found.name, self._users, body=body))
            case kind:
                raise ValueError(f"nothing deletes a {kind}")
