"""A good inventory to spoil."""

from __future__ import annotations

import os
from pathlib import Path

from casa_install.site import Site, load_site

GOOD = """\
[kube_control]
kube-1 ansible_host=10.1.0.11

[kube_workers]
kube-[2:3]

[gateway]
gateway-1 ansible_host=10.1.0.14

[condor_manager]
condor-1 ansible_host=10.1.0.21

[condor_access]
condor-1

[condor_execute]
exec-1 ansible_host=10.1.0.31 casa_condor_cpus=24 casa_condor_memory=98304
exec-2 ansible_host=10.1.0.32

[xcache]
xcache-1 ansible_host=10.1.0.41

[dns]
dns-1 ansible_host=10.1.0.51

[registry]
dns-1

[all:vars]
ansible_user=root
casa_site_name=casa
casa_domain=casa.lan
casa_network=10.1.0.0/24
casa_public_address=10.1.0.200
casa_users=["alice", "bob"]
casa_admins=["alice"]
casa_authenticator=dummy
casa_xcache_origin=storage.lan:1094
"""

GOOD_HOSTS = {"host_vars/kube-2.yml": "ansible_host: 10.1.0.12\n",
              "host_vars/kube-3/main.yml": "ansible_host: 10.1.0.13\n"}


def write(folder: Path, text: str, files: dict[str, str] | None = None) -> Path:
    """An inventory of that text in a folder, with variable files beside it."""
    for name, content in {**GOOD_HOSTS, **(files or {})}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.fsencode(content))
    inventory = folder / "site.ini"
    inventory.write_bytes(os.fsencode(text))
    return inventory


def load(folder: Path, text: str, files: dict[str, str] | None = None) -> Site:
    """The site of that inventory."""
    return load_site(write(folder, text, files))


def replaced(*pairs: tuple[str, str]) -> str:
    """The good inventory with some texts exchanged."""
    text = GOOD
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def line_of(part: str, text: str = GOOD) -> int:
    """Number of the first line with a text in it."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if part in line)
