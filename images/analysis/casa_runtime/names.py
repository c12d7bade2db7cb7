"""Dask preload for schedulers: the worker beside the scheduler is addressed by its name.

That worker (``WORKER_IP``, port 8788) is reached through the router of TLS connections, which goes
by the name in the handshake. A scheduler turns workers' names into IP addresses when they join, and
a connection to an IP address carries no name: the router would refuse it. So this one name stays.
"""

from __future__ import annotations

import functools
import os
from typing import Any
from urllib.parse import urlsplit


def dask_setup(scheduler: Any) -> None:
    """Keep ``WORKER_IP`` unresolved in addresses; called by Dask with the new scheduler."""
    name = os.environ.get("WORKER_IP")
    if not name:
        return
    resolved = scheduler.coerce_address

    @functools.wraps(resolved)
    def coerce_address(addr: str | tuple[str, int], resolve: bool = True) -> str:
        known = scheduler.aliases.get(addr, addr)
        keep = isinstance(known, str) and urlsplit(known).hostname == name
        result: str = resolved(addr, resolve=resolve and not keep)
        return result

    scheduler.coerce_address = coerce_address
