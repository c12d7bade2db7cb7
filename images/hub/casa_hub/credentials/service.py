"""The service's HTTP interface and its renewal of tokens."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from aiohttp import web

from casa_hub import names
from casa_hub.credentials.certificates import dask_certificates
from casa_hub.credentials.store import Stored
from casa_hub.credentials.tokens import Mint
from casa_hub.settings import CredentialsSettings

log = logging.getLogger("casa.credentials")

USER = re.compile(r"[a-z][a-z0-9]{0,30}")
RESERVED = {"condor", "root", "condorpool", "password", "family", "nobody"}  # identities of daemons and of the system
CHECKS_IN_A_LIFE = 10  # how often in a token's life renewal looks: well before half of it is over


class Store(Protocol):
    """Where users' Secrets lie."""

    async def put(self, user: str, files: dict[str, bytes], expires: int) -> None:
        """The user's Secret is new and holds these files."""

    async def renew(self, stored: Stored, files: dict[str, bytes], expires: int) -> None:
        """These files of the Secret are new."""

    async def delete(self, user: str, uid: str | None) -> None:
        """The user's Secret is gone."""

    async def all(self) -> list[Stored]:
        """Every Secret that this service made."""


class CredentialsService:
    """Issues, renews and removes users' credentials."""

    def __init__(self, settings: CredentialsSettings, mint: Mint, store: Store, bearer: str) -> None:
        if len(bearer) < 32:
            raise ValueError("the hub's bearer token has less than 32 characters")
        self._settings = settings
        self._mint = mint
        self._store = store
        self._bearer = f"Bearer {bearer}".encode()

    async def issue(self, user: str) -> None:
        """The user has new certificates and tokens."""
        domain = self._settings.domain
        hosts = [names.dask_host(user, domain), names.worker_host(user, domain)]
        certificates = await asyncio.to_thread(
            dask_certificates, names.slug(user), hosts, self._settings.certificate_days
        )
        tokens = self._mint.mint(user)
        await self._store.put(user, certificates | tokens.files, tokens.expires)
        log.info("issued to %s, macaroon %s", user, tokens.macaroon)

    async def renew(self, now: float) -> int:
        """Tokens past four tenths of their life are replaced; returns how many users got new ones."""
        renewed = 0
        for stored in await self._store.all():
            if stored.expires - now > 0.6 * self._settings.token_seconds:
                continue
            tokens = self._mint.mint(stored.user)
            await self._store.renew(stored, tokens.files, tokens.expires)
            log.info("renewed for %s, macaroon %s", stored.user, tokens.macaroon)
            renewed += 1
        return renewed

    async def keep_renewing(self) -> None:
        """Renew for ever; a failure is logged and tried again."""
        pause = min(60.0, self._settings.token_seconds / CHECKS_IN_A_LIFE)
        while True:
            try:
                await self.renew(time.time())
            except Exception as error:
                log.error("renewal: %s", error)
            await asyncio.sleep(pause)

    def _user(self, request: web.Request) -> str:
        user = request.match_info["user"]
        if not USER.fullmatch(user) or user in RESERVED:
            raise web.HTTPUnprocessableEntity(
                text=f"{user!r} cannot have credentials: a name is a lower-case letter and up to 30 lower-case letters"
                " or digits, and not a system account's"
            )
        return user

    async def _put(self, request: web.Request) -> web.Response:
        await self.issue(self._user(request))
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        await self._store.delete(request.match_info["user"], request.query.get("uid"))
        return web.Response(status=204)

    async def _list(self, _request: web.Request) -> web.Response:
        return web.Response(text="\n".join(f"{one.user}\t{one.uid}" for one in await self._store.all()))

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    def application(self) -> web.Application:
        """The web application; renewal runs as long as it does."""

        @web.middleware
        async def authorized(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").encode()
            if request.path != "/health" and not hmac.compare_digest(given, self._bearer):
                raise web.HTTPUnauthorized(text="the bearer token is missing or wrong")
            return await handler(request)

        async def renewal(_application: web.Application) -> AsyncIterator[None]:
            task = asyncio.create_task(self.keep_renewing())
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        application = web.Application(middlewares=[authorized])
        application.add_routes([
            web.get("/health", self._health),
            web.get("/users", self._list),
            web.put("/users/{user}", self._put),
            web.delete("/users/{user}", self._delete),
        ])
        application.cleanup_ctx.append(renewal)
        return application
