"""What an identity provider tells about itself (OpenID Connect Discovery)."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any

import aiohttp

_PATIENCE = 20  # seconds


class ProviderError(ValueError):
    """The provider cannot be asked or does not answer as one; the message says why and what to write."""


@cache
def endpoints(issuer: str) -> dict[str, str]:
    """``authorize_url``, ``token_url`` and ``userinfo_url`` of a provider.

    :param issuer: its ``https://`` URL; asked is the document ``/.well-known/openid-configuration`` below it.
    :raises ProviderError: it is no such URL, nobody answers, or the answer is no provider's.
    """
    if not issuer.startswith("https://"):
        raise ProviderError(f"{issuer} is no issuer; write the provider's https:// URL")
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        document = asyncio.run(_read(url))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = str(error) or type(error).__name__
        raise ProviderError(f"{url} cannot be read ({why}); correct the issuer, or copy inventory/example") from None
    named = document.get("issuer") if isinstance(document, dict) else None
    if str(named).rstrip("/") != issuer.rstrip("/"):
        raise ProviderError(f"{url} is the document of {named}; write that issuer if you trust it")
    found = {name: document.get(key) for name, key in (
        ("authorize_url", "authorization_endpoint"), ("token_url", "token_endpoint"),
        ("userinfo_url", "userinfo_endpoint"))}
    missing = [name for name, value in found.items() if not isinstance(value, str)]
    if missing:
        raise ProviderError(f"{url} has no {', '.join(missing)}; write another issuer, or copy inventory/example")
    return {name: str(value) for name, value in found.items()}


async def _read(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session, session.get(url) as response:
        response.raise_for_status()
        return json.loads(await response.read())
