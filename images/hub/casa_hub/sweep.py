"""Removal of objects that no server owns: the hub died between making and removing them, or lost its database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from casa_hub.client import Held
from casa_hub.objects import Found


class Objects(Protocol):
    """The users' objects in the cluster."""

    async def found(self) -> list[Found]:
        """Every object that belongs to a server."""

    async def delete(self, found: Found) -> None:
        """Delete one of them."""


class Credentials(Protocol):
    """The users' credentials."""

    async def held(self) -> list[Held]:
        """Users who have a Secret."""

    async def revoke(self, user: str, uid: str | None = None) -> None:
        """Remove a user's Secret."""


async def sweep(objects: Objects, credentials: Credentials, owners: Callable[[], Collection[str]],
                log: logging.Logger) -> int:
    """Remove what belongs to no server, and return how many objects that were.

    ``owners`` names the users with a server that runs, starts or stops. It is asked after the objects were listed:
    what is listed without an owner then was left behind, and what a later start makes has another uid and is spared.
    """
    removed = 0
    found = await objects.found()
    owned = owners()
    for one in found:
        if one.user not in owned:
            log.warning("Removing %s %s: %s has no server", one.kind, one.name, one.user or "nobody")
            await objects.delete(one)
            removed += 1
    held = await credentials.held()
    owned = owners()
    for secret in held:
        if secret.user not in owned:
            log.warning("Removing credentials: %s has no server", secret.user)
            await credentials.revoke(secret.user, secret.uid)
            removed += 1
    return removed
