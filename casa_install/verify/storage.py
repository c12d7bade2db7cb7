"""XCache runs and answers on its port; what it gives to whom, the users' day proves."""

from __future__ import annotations

import asyncio

from casa_install.verify.context import Check, CheckError, Context, expect

PORT = 1094


async def listens(context: Context) -> str:
    """The cache accepts connections from outside and its unit is active."""
    hosts = context.site.group("xcache")
    for host in hosts:
        try:
            async with asyncio.timeout(10):
                _, writer = await asyncio.open_connection(str(host.address), PORT)
        except OSError as error:  # a time-out is one too
            raise CheckError(f"{host.name} ({host.address}) does not answer on port {PORT}: "
                             f"{error.strerror or 'no answer'}; see: systemctl status xrootd@xcache") from None
        writer.close()
        state = (await context.on(host.name, "systemctl", "show", "--property=ActiveState",
                                  "xrootd@xcache.service")).split()
        expect("ActiveState=active" in state, f"{host.name}: {' '.join(state)}")
    return f"{', '.join(h.name for h in hosts)} on port {PORT}"


CHECKS = (Check("xcache", "XCache serves", listens),)
