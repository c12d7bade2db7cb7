"""What is written on a host about what came with us: whole or not at all, and gone with the last of it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path("/var/lib/casa-install")


@contextlib.contextmanager
def alone(path: Path = FOLDER.parent) -> Iterator[None]:
    """Only one process of this host is in here at a time; one that ends, however, lets go of it."""
    guard = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
    finally:
        os.close(guard)


def read(name: str) -> dict[str, Any]:
    """The content of a record; empty where there is none."""
    path = FOLDER / name
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write(name: str, content: Mapping[str, Any]) -> None:
    """Put a record on the host; call it alone. An empty one goes, and with the last one the folder."""
    path = FOLDER / name
    if not content:
        path.unlink(missing_ok=True)
        if FOLDER.is_dir() and not any(FOLDER.iterdir()):
            FOLDER.rmdir()
        return
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(content, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
