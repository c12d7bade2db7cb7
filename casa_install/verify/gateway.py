"""The public address: the hub's certificate is the site's, and what nobody owns is refused."""

from __future__ import annotations

import asyncio
import secrets
import ssl

from casa_install.verify.context import Check, CheckError, Context, expect

TIMEOUT = 10  # seconds for a TLS handshake


async def _handshake(context: Context, port: int, name: str | None) -> str:
    """Subject of the peer's certificate, or CheckError with why the handshake was refused."""
    tls = context.tls()
    if name is None:
        tls.check_hostname = False
    address = str(context.site.settings.public_address)
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name or "")
    except (OSError, ssl.SSLError, TimeoutError) as error:
        raise CheckError(f"{address}:{port} as {name}: {error or type(error).__name__}") from None
    certificate = writer.get_extra_info("peercert")
    writer.close()
    return ", ".join(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")


async def hub_certificate(context: Context) -> str:
    """The hub's name is served with a certificate whose chain ends at the site CA."""
    name = f"hub.{context.site.settings.domain}"
    names = await _handshake(context, 443, name)
    return f"certificate for {names}, chain verified"


async def strangers_refused(context: Context) -> str:
    """A name that belongs to nobody reaches no backend on any port."""
    domain = context.site.settings.domain
    for port, part in ((443, "x"), (8786, "dask"), (8788, "dask-worker")):
        name = f"{secrets.token_hex(6)}.{part}.{domain}"
        try:
            names = await _handshake(context, port, name)
        except CheckError as error:
            expect("refused" not in str(error).lower() or "ssl" in str(error).lower(), f"nothing listens: {error}")
        else:
            raise CheckError(f"{name}:{port} was answered with a certificate for {names}")
    return "no route for unknown names on 443, 8786, 8788"


CHECKS = (
    Check("hub-certificate", "The hub's certificate is the site's", hub_certificate),
    Check("strangers", "Unknown names are refused", strangers_refused),
)
