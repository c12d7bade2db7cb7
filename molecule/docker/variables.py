"""Writes the roles' variables for the scenario: a registry, and one host that is a whole pool.

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
from casa_install.rolevars import condor, docker, registry
from casa_install.site.model import Host, HostSettings, Settings, Site
from casa_install.supply import Supply

HOSTS = (
    Host(name="registry-1", address=IPv4Address("10.91.11.11"), groups=("registry", "dns")),
    Host(
        name="exec-1",
        address=IPv4Address("10.91.11.21"),
        groups=("condor_manager", "condor_access", "condor_execute"),
        settings=HostSettings(condor_cpus=2, condor_memory=2048),
    ),
)


def main() -> None:
    """Write the file."""
    folder = Path(sys.argv[1])
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    settings = Settings(
        site_name="molecule",
        domain="casa.test",
        network=IPv4Network("10.91.11.0/24"),
        public_address=IPv4Address("10.91.11.200"),
        rehearsal=True,
        users=("alice",),
        job_containers="docker",
    )
    site = Site(settings=settings, hosts=HOSTS, inventory=folder / "site.ini")
    supply, credentials = Supply(site.registry, folder / "cache"), Credentials(site)
    variables = condor.variables(site, supply, credentials) | registry.variables(site, supply, credentials)
    variables |= docker.variables(site, supply, credentials)
    variables["scenario_ca"] = credentials.ca_certificate
    variables["condor_worker_image"] = "one"
    variables["docker_image"] = f"{site.registry}/casa/worker:one"
    write_private(folder / "variables.json", json.dumps(variables).encode())


if __name__ == "__main__":
    main()
