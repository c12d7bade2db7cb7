"""Ansible's ssh connections, shared by all playbooks of one run and gone after it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path


class Connections:
    """The folder of ssh's control sockets.

    It lies in the system's temporary folder and not in the site's, because the path of a socket may have about a
    hundred characters at most.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="casa-ssh-"))

    def close(self) -> None:
        """End every connection and remove the folder."""
        for socket in self.folder.iterdir():
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"], check=False,
                           capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
