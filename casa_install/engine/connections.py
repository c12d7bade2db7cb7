"""Ansible's ssh connections, shared by all playbooks of one run and gone after it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PREFIX = "casa-ssh-"


class Connections:
    """The folder of ssh's control sockets.

    It lies in the system's temporary folder and not in the site's, because the path of a socket may have about a
    hundred characters at most. Its name tells whose it is.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))

    def close(self) -> None:
        """End every connection and remove the folder."""
        _end(self.folder)


def end_stale() -> None:
    """End the connections that killed runs of this account have left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):  # another run may be doing the same
            if owner.isdecimal() and folder.stat().st_uid == os.getuid() and not Path(f"/proc/{owner}").exists():
                _end(folder)


def _end(folder: Path) -> None:
    for socket in folder.iterdir():
        subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)
