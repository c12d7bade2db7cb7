"""JupyterHub with a sweep of left-over objects, at the start and from time to time."""

from __future__ import annotations

import asyncio

from jupyterhub.app import JupyterHub
from traitlets import Instance, Integer

from casa_hub.client import CredentialsClient
from casa_hub.hooks import user_objects
from casa_hub.settings import HubSettings
from casa_hub.sweep import sweep


class CasaHub(JupyterHub):  # type: ignore[misc]  # JupyterHub has no types
    """The hub of a site; ``casa_settings`` and ``casa_credentials`` are set by the configuration file."""

    casa_settings = Instance(HubSettings).tag(config=True)
    casa_credentials = Instance(CredentialsClient).tag(config=True)
    sweep_seconds = Integer(60, help="Seconds between two sweeps").tag(config=True)

    async def start(self) -> None:
        """Start the hub, and the sweeps beside it."""
        await super().start()
        self._sweeping = asyncio.create_task(self.keep_sweeping())

    async def keep_sweeping(self) -> None:
        """Sweep for ever; the hub's shutdown cancels it with all its tasks."""
        while True:
            await self.sweep()
            await asyncio.sleep(self.sweep_seconds)

    def owners(self) -> set[str]:
        """Users with a server that runs, starts, stops or is still being checked after the hub's start."""
        return {
            user.name
            for user in self.users.values()
            if any(spawner.active for spawner in user.spawners.values())
        }

    async def sweep(self) -> None:
        """Remove what no server owns; a failure is logged, the next sweep tries again."""
        try:
            await sweep(user_objects(self.casa_settings), self.casa_credentials, self.owners, self.log)
        except Exception as error:
            self.log.warning("The sweep stopped early: %s", error)


if __name__ == "__main__":
    CasaHub.launch_instance()
