"""One run at a time for each site."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from casa_install.machine import locks_soon


class LockedError(Exception):
    """Another run holds the site."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock file while the block runs.

    The kernel drops the lock with the process, so a killed run leaves nothing stale behind; the content only says who
    holds it.

    :raises LockedError: when another process holds it; the message names owner, process, machine and time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        if not locks_soon(stream.fileno()):
            stream.seek(0)
            try:
                holder = json.loads(stream.read())
                who = "{user}'s process {pid} on {machine}, since {since}".format(**holder)
            except (ValueError, KeyError):
                who = "another process"
            raise LockedError(f"this site is being worked on by {who}: wait until it ends")
        stream.seek(0)
        stream.truncate()
        json.dump({"user": getpass.getuser(), "pid": os.getpid(), "machine": socket.gethostname(),
                   "since": dt.datetime.now().astimezone().isoformat(timespec="seconds")}, stream)
        stream.flush()
        yield
