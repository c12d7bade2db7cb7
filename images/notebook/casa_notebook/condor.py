"""HTCondor's client side: where the access point is."""

from __future__ import annotations

import subprocess
from pathlib import Path


def schedd_address_file(address: str) -> str:
    """Text of SCHEDD_ADDRESS_FILE: address, version and platform, as the daemon itself would write it.

    With it the access point counts as local: nothing is looked up in the collector, where a user's
    token isn't valid. Version and platform are this image's, the pool's release. Raises OSError or
    subprocess.CalledProcessError where HTCondor's tools don't work.
    """
    version = subprocess.run(["condor_version"], check=True, capture_output=True, text=True).stdout
    lines = [line for line in version.splitlines() if line.startswith("$Condor")]
    return "\n".join([address, *lines[:2], ""])


def write_schedd_address(address: str, path: Path) -> None:
    """Write SCHEDD_ADDRESS_FILE."""
    path.write_text(schedd_address_file(address), encoding="ascii")
