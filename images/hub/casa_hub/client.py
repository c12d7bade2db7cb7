"""The hub's side of the credentials service."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp

ATTEMPTS = 4
PAUSE_SECONDS = 1.0
TIMEOUT = aiohttp.ClientTimeout(total=10)


class CredentialsError(Exception):
    """The service refused or did not answer; the message is fit for the user's spawn page."""


@dataclass(frozen=True)
class Held:
    """A user whose credentials lie in the cluster."""

    user: str
    uid: str


class CredentialsClient:
    """Calls over TLS, verified by the site CA, with the shared bearer token."""

    def __init__(self, url: str, token: str, ca_file: Path) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._ca_file = ca_file

    async def _once(self, method: str, path: str, params: dict[str, str] | None) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=str(self._ca_file))
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=TIMEOUT) as session,
            session.request(method, self._url + path, params=params) as response,
        ):
            return response.status, await response.text()

    async def _call(self, method: str, path: str, params: dict[str, str] | None = None) -> str:
        """Every request may be repeated, so a restart of the service is waited for.

        :raises CredentialsError: when the service refuses, or does not answer four times.
        """
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_SECONDS * attempt)
            try:
                status, text = await self._once(method, path, params)
            except (aiohttp.ClientError, TimeoutError) as error:
                reason = f"no answer: {error!r}"
                continue
            if status < 400:
                return text
            reason = f"{status}: {text}"
            if status < 500:
                break
        raise CredentialsError(f"the credentials service failed ({method} {path}): {reason}")

    async def issue(self, user: str) -> None:
        """New certificates and tokens lie in the user's Secret."""
        await self._call("PUT", f"/users/{quote(user, safe='')}")

    async def revoke(self, user: str, uid: str | None = None) -> None:
        """The user's Secret is gone (with a uid: that one Secret, not one made since)."""
        await self._call("DELETE", f"/users/{quote(user, safe='')}", {"uid": uid} if uid else None)

    async def held(self) -> list[Held]:
        """Users who have a Secret."""
        text = await self._call("GET", "/users")
        return [Held(*line.split("\t")) for line in text.splitlines()]
