"""The public address: who is answered, what the router may read."""

import asyncio
import contextlib
import ssl
from typing import Any

import pytest

from casa_install.verify.context import Context

PORTS = (443, 8786, 8788)


async def handshake(context: Context, port: int, name: str | None, newest: ssl.TLSVersion | None = None) -> str:
    """The names in the peer's certificate; an SSL error when there is no answer."""
    tls = context.tls()
    tls.check_hostname = name is not None
    if newest:
        tls.set_ciphers("DEFAULT@SECLEVEL=0")  # or this side would refuse to ask
        tls.minimum_version = tls.maximum_version = newest
    async with asyncio.timeout(15):
        _, writer = await asyncio.open_connection(str(context.site.settings.public_address), port, ssl=tls,
                                                  server_hostname=name or "")
    names = writer.get_extra_info("peercert")["subjectAltName"]
    writer.close()
    return str(names)


async def test_hub_has_the_sites_certificate(context: Context) -> None:
    hub = f"hub.{context.site.settings.domain}"
    assert hub in await handshake(context, 443, hub)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("label", ["nobody.dask", "x.hub", "nobody.dask-worker", None])
async def test_unknown_names_get_no_certificate(context: Context, port: int, label: str | None) -> None:
    name = label and f"{label}.{context.site.settings.domain}"
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as caught:
        await handshake(context, port, name)
    assert not isinstance(caught.value, ssl.SSLCertVerificationError)


async def test_old_protocols_are_refused(context: Context) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await handshake(context, 443, f"hub.{context.site.settings.domain}", ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize(("verb", "what", "where", "allowed"), [
    ("list", "secrets", "casa-routes", "yes"),
    ("list", "ingressroutetcps.traefik.io", "casa-routes", "yes"),
    ("list", "secrets", "casa-users", "no"),
    ("list", "secrets", "casa-hub", "no"),
    ("list", "services", "casa-users", "no"),
    ("create", "ingressroutetcps.traefik.io", "casa-routes", "no"),
    ("list", "nodes", "", "no"),
])
async def test_rights(context: Context, verb: str, what: str, where: str, allowed: str) -> None:
    place = [f"--namespace={where}"] if where else []
    account = "system:serviceaccount:casa-gateway:traefik"
    answer = await asyncio.gather(context.kubectl("auth", "can-i", verb, what, *place, f"--as={account}"),
                                  return_exceptions=True)
    assert ("yes" if str(answer[0]).startswith("yes") else "no") == allowed


async def test_the_address_is_announced(context: Context) -> None:
    (service,) = await context.objects("services", "--namespace=casa-gateway")
    addresses = [one["ip"] for one in service["status"]["loadBalancer"]["ingress"]]
    assert addresses == [str(context.site.settings.public_address)]


async def test_a_killed_router_comes_back(context: Context) -> None:
    """Kubelet starts it anew, and the public address answers as before."""
    hub = f"hub.{context.site.settings.domain}"
    before = await routers(context)
    for node in {pod["spec"]["nodeName"] for pod in before}:
        await context.on(node, "pkill", "--signal", "KILL", "--exact", "traefik")
    expected = {pod["metadata"]["name"]: starts(pod) + 1 for pod in before}
    for _ in range(60):
        with contextlib.suppress(OSError):  # a time-out is one too
            if {pod["metadata"]["name"]: starts(pod) for pod in await routers(context)} == expected:
                assert hub in await handshake(context, 443, hub)
                return
        await asyncio.sleep(1)
    pytest.fail("the public address does not answer")


async def routers(context: Context) -> list[dict[str, Any]]:
    """The router's pods."""
    return await context.objects("pods", "--namespace=casa-gateway")


def starts(pod: dict[str, Any]) -> int:
    """How often its container was started after the first time; -1 while it does not run."""
    (status,) = pod["status"]["containerStatuses"]
    return int(status["restartCount"]) if status["ready"] else -1
