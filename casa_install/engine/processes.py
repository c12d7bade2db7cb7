"""The processes that a run starts, found by a mark in their environment however far they have detached."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from casa_install.machine import RUN_MARK


def marked(run: str) -> list[int]:
    """Ids of the living processes that work for this run, without this process itself."""
    wanted = f"{RUN_MARK}={run}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):  # ended meanwhile, or another account's
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def end(run: str, patience: float = 2) -> None:
    """End every process of a run: at first asked, after ``patience`` seconds killed."""
    deadline = time.monotonic() + patience
    asked: set[int] = set()
    while left := marked(run):
        late = time.monotonic() > deadline
        for process in left:
            if late or process not in asked:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
        asked |= set(left)
        time.sleep(0.05)
