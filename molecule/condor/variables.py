"""Writes the role's variables for the scenario's pool, made by the same code as in an installation.

Usage: ``variables.py FOLDER``; the folder gets ``site.ini``'s state (vault and its key) and ``variables.json``, 0600.
"""

from __future__ import annotations

import json
import os
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from casa_install.credentials import Credentials
from casa_install.credentials.vault import write_private
from casa_install.rolevars import condor
from casa_install.site.model import Host, HostSettings, Settings, Site
from casa_install.supply import Supply

SMALL = HostSettings(condor_cpus=2, condor_memory=2048)
HOSTS = (
    Host(name="condor-1", address=IPv4Address("10.91.4.11"), groups=("condor_manager", "condor_access")),
    Host(name="exec-1", address=IPv4Address("10.91.4.21"), groups=("condor_execute",), settings=SMALL),
    Host(name="exec-2", address=IPv4Address("10.91.4.22"), groups=("condor_execute",), settings=SMALL),
)


def site(folder: Path) -> Site:
    """The scenario's pool as a site."""
    settings = Settings(
        site_name="molecule",
        domain="casa.test",
        network=IPv4Network("10.91.4.0/24"),
        public_address=IPv4Address("10.91.4.200"),
        rehearsal=True,
        users=("alice", "bob"),
    )
    return Site(settings=settings, hosts=HOSTS, inventory=folder / "site.ini")


def main() -> None:
    """Write the file."""
    folder = Path(sys.argv[1])
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    made = site(folder)
    credentials = Credentials(made)
    variables = condor.variables(made, Supply(made.registry, folder / "cache"), credentials)
    variables["apptainer_ca"] = credentials.ca_certificate
    variables["apptainer_image"] = "registry.casa.test:5000/casa/worker:none"
    write_private(folder / "variables.json", json.dumps(variables).encode())


if __name__ == "__main__":
    main()
