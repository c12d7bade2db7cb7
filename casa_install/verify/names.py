"""The site's zone answers as its users, hosts and pods need it."""

from __future__ import annotations

import secrets

from casa_install.verify.context import Check, Context, expect


async def records(context: Context) -> str:
    """Every host, the hub, both wildcards and the cache's alias have the right address."""
    settings = context.site.settings
    public = str(settings.public_address)
    anybody = secrets.token_hex(6)
    wanted = {context.site.fqdn(h): str(h.address) for h in context.site.hosts}
    wanted |= {f"{name}.{settings.domain}": public for name in ("hub", f"{anybody}.dask", f"{anybody}.dask-worker")}
    wanted[f"xcache.{settings.domain}"] = str(context.site.one("xcache").address)
    wanted[f"registry.{settings.domain}"] = str(context.site.one("registry").address)
    wanted[f"api.{settings.domain}"] = str(context.site.one("kube_control").address)
    for name, address in wanted.items():
        found = await context.addresses(name)
        expect(found == [address], f"{name} is {', '.join(found)}, expected {address}")
    return f"{len(wanted)} names, both wildcards among them"


async def reverse(context: Context) -> str:
    """Every host's address leads back to its name."""
    for host in context.site.hosts:
        found = await context.names(str(host.address))
        expect(found == [context.site.fqdn(host)],
               f"{host.address} is {', '.join(found)}, expected {context.site.fqdn(host)}")
    return f"{len(context.site.hosts)} addresses"


CHECKS = (Check("names", "Names resolve", records), Check("reverse", "Addresses have names", reverse))
