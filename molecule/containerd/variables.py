"""Writes the variables of the scenario's role, made by the same code as in an installation.

Usage: ``variables.py FOLDER [publish]``; the folder gets the site's state and ``variables.json``, 0600.
"""

from __future__ import annotations

import json
import os
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from casa_install.credentials import Credentials
from casa_install.credentials.vault import write_private
from casa_install.rolevars import containerd
from casa_install.site.model import Host, Settings, Site
from casa_install.supply import Supply, cache_directory

IMAGES = ("pause", "toolbox")
STORE = "10.91.8.12"
HOSTS = (
    Host(name="node-1", address=IPv4Address("10.91.8.11"), groups=("kube_control",)),
    Host(name="store", address=IPv4Address(STORE), groups=("registry",)),
)


def main() -> None:
    """Write the file, and publish the images when the scenario's registry is up."""
    folder = Path(sys.argv[1])
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    settings = Settings(site_name="molecule", domain="casa.test", network=IPv4Network("10.91.8.0/24"),
                        public_address=IPv4Address("10.91.8.200"), rehearsal=True, users=("alice",))
    site = Site(settings=settings, hosts=HOSTS, inventory=folder / "site.ini")
    credentials = Credentials(site)
    supply = Supply(site.registry, cache_directory())
    if sys.argv[2:] == ["publish"]:
        supply.ensure(IMAGES, print)
        supply.push(IMAGES, f"{STORE}:5000", credentials.ca_certificate)
        return
    supply.ensure(["containerd"], print)
    pair = credentials.certificate("registry", [site.fqdn("registry"), STORE])
    variables = {
        "scenario_ca": credentials.ca_certificate,
        "scenario_certificate": pair.certificate,
        "scenario_key": pair.key,
        "scenario_records": {"registry": STORE},
        "scenario_resolver": STORE,
        "scenario_domain": settings.domain,
        "scenario_image": supply.image("toolbox"),
    }
    write_private(folder / "variables.json",
                  json.dumps(variables | containerd.variables(site, supply, credentials)).encode())


if __name__ == "__main__":
    main()
