"""Writes the variables of the scenario's roles, made by the same code as in an installation.

Usage: ``variables.py FOLDER``; the folder gets the site's state (vault and its key) and ``variables.json``, 0600.
"""

from __future__ import annotations

import json
import os
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from casa_install.credentials import Credentials
from casa_install.credentials.vault import write_private
from casa_install.rolevars import cilium, containerd, kubernetes
from casa_install.site.model import Host, Settings, Site
from casa_install.supply import Supply, cache_directory

PROGRAMS = ("kubernetes", "containerd", "helm", "cilium")
IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "pause", "cilium",
          "cilium-operator", "toolbox")
HOSTS = (
    Host(name="kube-1", address=IPv4Address("10.91.9.11"), groups=("kube_control",)),
    Host(name="gateway-1", address=IPv4Address("10.91.9.12"), groups=("gateway",)),
    Host(name="store", address=IPv4Address("10.91.9.13"), groups=("dns", "registry")),
)


def site(folder: Path) -> Site:
    """The scenario's cluster as a site."""
    settings = Settings(
        site_name="molecule",
        domain="casa.test",
        network=IPv4Network("10.91.9.0/24"),
        public_address=IPv4Address("10.91.9.200"),
        rehearsal=True,
        users=("alice", "bob"),
    )
    return Site(settings=settings, hosts=HOSTS, inventory=folder / "site.ini")


def scenario(made: Site, credentials: Credentials) -> dict[str, Any]:
    """What stands for the roles of DNS and registry."""
    address = {host.name: str(host.address) for host in made.hosts}
    pair = credentials.certificate("registry", [made.fqdn("registry"), address["store"]])
    return {
        "scenario_ca": credentials.ca_certificate,
        "scenario_certificate": pair.certificate,
        "scenario_key": pair.key,
        "scenario_records": {
            "api": address["kube-1"],
            "registry": address["store"],
            "hub": str(made.settings.public_address),
            "xcache": address["store"],
        },
        "scenario_resolver": address["store"],
        "scenario_domain": made.settings.domain,
    }


def main() -> None:
    """Write the file, and publish the images when the scenario's registry is up."""
    folder = Path(sys.argv[1])
    os.environ["XDG_CONFIG_HOME"] = str(folder)
    made = site(folder)
    credentials = Credentials(made)
    supply = Supply(made.registry, cache_directory())
    if sys.argv[2:] == ["publish"]:
        supply.ensure(IMAGES, print)
        supply.push(IMAGES, f"{made.one('registry').address}:5000", credentials.ca_certificate)
        return
    supply.ensure(PROGRAMS, print)
    variables = scenario(made, credentials) | {"scenario_toolbox": supply.image("toolbox")}
    for role in (containerd, kubernetes, cilium):
        variables |= role.variables(made, supply, credentials)
    write_private(folder / "variables.json", json.dumps(variables).encode())


if __name__ == "__main__":
    main()
