"""Private copies of the user's tokens that follow the Secret.

The Secret's files are readable for the pod's group; HTCondor and XRootD take a token only from a
file that nobody but its owner can read. The credentials service renews tokens while the pod lives,
so the copies are looked after for as long.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

INTERVAL = 10.0
"""Seconds between two looks at the Secret."""


def copy_private(source: Path, target: Path) -> bool:
    """Make target a copy of source that only its owner reads; True if it changed.

    A source that is missing or empty leaves the target as it is: it is being replaced, or it never
    was there. Readers see the old or the new token, never a part.
    """
    try:
        content = source.read_bytes()
    except FileNotFoundError:
        return False
    if not content or (target.is_file() and target.read_bytes() == content and target.stat().st_mode & 0o077 == 0):
        return False
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(target)
    return True


def copy_all(copies: Mapping[Path, Path]) -> list[Path]:
    """Copy each source to its target; the targets that changed."""
    return [target for source, target in copies.items() if copy_private(source, target)]


def follow(copies: Mapping[Path, Path], parent: int) -> None:
    """Keep copies fresh until the process ``parent`` is gone. A full disk is no reason to stop."""
    while os.getppid() == parent:
        time.sleep(INTERVAL)
        try:
            copy_all(copies)
        except OSError as problem:
            print(f"casa-notebook: cannot renew a token: {problem}", flush=True)


def follow_in_background(copies: Mapping[Path, Path]) -> int:
    """Start the follower as a child of this process, which it outlives by no more than INTERVAL; its pid."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            follow(copies, parent)
        finally:
            os._exit(0)
    return child
