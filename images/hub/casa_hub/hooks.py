"""What happens around a user's server: credentials and routes before it, none of them after it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from kubespawner.clients import load_config, shared_client

from casa_hub.client import CredentialsClient
from casa_hub.objects import UserObjects
from casa_hub.settings import HubSettings


def user_objects(settings: HubSettings) -> UserObjects:
    """The users' objects through this event loop's clients."""
    load_config()
    return UserObjects(
        shared_client("CoreV1Api"),
        shared_client("CustomObjectsApi"),
        settings.domain,
        settings.users_namespace,
        settings.routes_namespace,
    )


class Hooks:
    """KubeSpawner's hooks, bound to one site."""

    def __init__(self, settings: HubSettings, credentials: CredentialsClient) -> None:
        self._settings = settings
        self._credentials = credentials

    async def before(self, spawner: Any) -> None:
        """Credentials and routes of this server are there; a failure stops the spawn and tells the user."""
        began = time.monotonic()
        user = spawner.user.name
        await asyncio.gather(self._credentials.issue(user), user_objects(self._settings).ensure(user))
        spawner.log.info("Credentials and routes of %s are there after %.2f s", user, time.monotonic() - began)

    async def after(self, spawner: Any) -> None:
        """Nothing of this server remains but the home volume; what fails here is done by the next sweep."""
        user = spawner.user.name
        results = await asyncio.gather(
            user_objects(self._settings).remove(user), self._credentials.revoke(user), return_exceptions=True
        )
        for error in (result for result in results if isinstance(result, Exception)):
            spawner.log.error("After the server of %s: %s", user, error)
