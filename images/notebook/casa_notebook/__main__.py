"""``casa-notebook PROGRAM…``: makes the user's server ready, then becomes PROGRAM.

A fault in the site's settings costs the user the cluster, never the server: it is said in the log
and the server starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from casa_notebook.condor import write_schedd_address
from casa_notebook.dask_defaults import write_defaults
from casa_notebook.requirements import ensure_requirements
from casa_notebook.settings import SettingsError, read_settings
from casa_notebook.tokens import copy_all, follow_in_background

SECRETS = Path("/etc/cmsaf-secrets")
RUNTIME = Path("/tmp/casa")  # noqa: S108 - the pod's own /tmp; image variables point here too
UNUSABLE_HOME = 73
"""Exit code of sysexits.h for a file that cannot be created."""


def say(text: str) -> None:
    """A line (or several) in the server's log."""
    for line in text.splitlines():
        print(f"casa-notebook: {line}", file=sys.stderr, flush=True)


def token_copies(home: Path) -> dict[Path, Path]:
    """Each token in the Secret and where its reader looks for it."""
    return {
        SECRETS / "condor_token": home / ".condor/tokens.d/condor_token",
        SECRETS / "xcache_token": RUNTIME / "access_token",
    }


def ensure_private(directory: Path) -> None:
    """A directory that only its owner enters."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def ensure_tokens(home: Path) -> None:
    """The user's tokens are where HTCondor and XRootD look for them, and follow renewals."""
    copies = token_copies(home)
    for target in copies.values():
        ensure_private(target.parent)
    copy_all(copies)
    follow_in_background(copies)


def ensure_cluster_settings() -> None:
    """HTCondor's client side and Dask's defaults say what the hub said."""
    try:
        settings = read_settings(os.environ)
        write_defaults(settings, RUNTIME / "dask")
        write_schedd_address(settings.schedd_address, RUNTIME / "schedd_address")
    except SettingsError as problem:
        say(f"no Dask clusters in this server, the hub's settings are incomplete:\n{problem}")
    except (OSError, subprocess.CalledProcessError) as problem:
        say(f"no Dask clusters in this server: {problem}")


def ensure_packages(home: Path) -> None:
    """What the user's requirements.txt names can be imported in kernels."""
    try:
        if ensure_requirements(home):
            say("requirements.txt is installed")
    except (OSError, subprocess.SubprocessError) as problem:
        say(f"requirements.txt could not be installed: {problem}")


def main() -> int:
    """Never returns when all is well: the process becomes the server."""
    program = sys.argv[1:] or ["jupyterhub-singleuser"]
    home = Path.home()
    try:
        ensure_private(RUNTIME)
        ensure_tokens(home)
    except OSError as problem:
        say(f"{problem}\n{home} must be writable for {os.getuid()}:{os.getgid()}; ask the site's admin")
        return UNUSABLE_HOME
    ensure_cluster_settings()
    ensure_packages(home)
    os.chdir(home)
    os.execvp(program[0], program)  # noqa: S606 - the server takes this process's place under tini


if __name__ == "__main__":
    sys.exit(main())
