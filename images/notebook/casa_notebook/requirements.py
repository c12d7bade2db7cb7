"""The user's own packages: ``~/requirements.txt``, which workers install too."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = Path(".local/share/casa-packages")
"""Under the home; the kernel's specification puts its site-packages on PYTHONPATH."""
STAMP = ".installed"
PATIENCE = 120
"""Seconds: a package index that doesn't answer must not keep the user from the server."""


def ensure_requirements(home: Path, python: str = sys.executable) -> bool:
    """Install what requirements.txt names beyond the image; True if something was done.

    Installed anew when the file or Python changed, gone when the file is. Only kernels see these
    packages, so a bad one can't keep the server from starting. Raises OSError, or
    subprocess.SubprocessError after pip's own words; the packages then are as before.
    """
    wanted, packages = home / "requirements.txt", home / PACKAGES
    if not wanted.is_file():
        shutil.rmtree(packages, ignore_errors=True)
        return False
    key = hashlib.sha256(sys.version.encode() + wanted.read_bytes()).hexdigest()
    stamp = packages / STAMP
    if stamp.is_file() and stamp.read_text(encoding="ascii") == key:
        return False
    fresh = packages.with_name(f"{packages.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-warn-script-location", "--disable-pip-version-check",
         "--timeout", "10", "--retries", "1", "--prefix", str(fresh), "-r", str(wanted)],
        check=True,
        timeout=PATIENCE,
    )  # fmt: skip
    (fresh / STAMP).write_text(key, encoding="ascii")
    shutil.rmtree(packages, ignore_errors=True)
    fresh.rename(packages)
    return True
