"""The public address: the hub's certificate is the site's, and what nobody owns is refused."""

from __future__ import annotations

import asyncio
import secrets
import ssl

from casa_install.verify.context import Check, CheckError, Context

TIMEOUT = 10  # seconds for a TLS handshake


async def _handshake(address: str, port: int, name: str, tls: ssl.SSLContext) -> list[str]:
    """Names in the peer's certificate, as far as the context verifies it; OSError when there is no TLS with it."""
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    return [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]


async def hub_certificate(context: Context) -> str:
    """The hub's name is served with a certificate whose chain ends at the site CA."""
    name, address = f"hub.{context.site.settings.domain}", str(context.site.settings.public_address)
    try:
        names = await _handshake(address, 443, name, context.tls())
    except OSError as error:  # SSLError and TimeoutError are among them
        gateways = ", ".join(host.name for host in context.site.group("gateway"))
        raise CheckError(f"{name} at {address}:443: {error or 'no answer'}; the address is announced by "
                         f"{gateways}") from None
    return f"certificate for {', '.join(names)}, chain verified"


async def strangers_refused(context: Context) -> str:
    """The router speaks TLS on every port, and refuses a name that belongs to nobody."""
    domain, address = context.site.settings.domain, str(context.site.settings.public_address)
    anything = context.tls()
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
    for port, part in ((443, "x"), (8786, "dask"), (8788, "dask-worker")):
        name = f"{secrets.token_hex(6)}.{part}.{domain}"
        try:
            await _handshake(address, port, name, anything)
        except (ssl.SSLError, ConnectionResetError):
            continue
        except OSError as error:
            raise CheckError(f"{address}:{port}: {error or 'no answer'}, expected a refusal of {name}") from None
        raise CheckError(f"{name}:{port} was answered")
    return "no route for unknown names on 443, 8786, 8788"


CHECKS = (
    Check("hub-certificate", "The hub's certificate is the site's", hub_certificate),
    Check("strangers", "Unknown names are refused", strangers_refused),
)
