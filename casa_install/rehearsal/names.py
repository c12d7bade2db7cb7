"""Names on the machine that follow from a lab's name.

Two labs differ in every one of them, so that they stand side by side and each is
cleared away without touching the other.
"""

from __future__ import annotations

import hashlib
import re
from ipaddress import IPv4Address, IPv4Network

from casa_install.rehearsal.commands import RehearsalError

LAB_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]")
HOST_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
BRIDGE_PREFIX = "casa-"
"""What every lab's bridge begins with; a lab's packets never go to another bridge of this kind."""
COMMENT_PREFIX = "casa-install lab "


def check_lab_name(name: str) -> None:
    """Raise :class:`RehearsalError` unless ``name`` can name a lab."""
    if not LAB_NAME.fullmatch(name):
        raise RehearsalError(
            f"lab name {name!r}: use 2 to 40 lower-case letters, digits and hyphens, a letter first, no hyphen last"
        )


def tag(lab: str) -> str:
    """Eight characters for the lab: readable beginning, then a hash that tells similar names apart."""
    readable = re.sub(r"[^a-z0-9]", "", lab)[:4]
    return readable + hashlib.sha256(lab.encode()).hexdigest()[: 8 - len(readable)]


def bridge(lab: str) -> str:
    """The lab's bridge (interface names have at most 15 characters)."""
    return BRIDGE_PREFIX + tag(lab)


def bridge_mac(lab: str) -> str:
    """The bridge's hardware address, a locally administered one."""
    digits = hashlib.sha256(lab.encode()).hexdigest()
    return ":".join(["02", *(digits[at : at + 2] for at in range(0, 10, 2))])


def machine(lab: str, network: IPv4Network, address: IPv4Address) -> str:
    """What systemd-nspawn calls a host: the tag and the address's place in the network, at most 12 characters."""
    return f"{tag(lab)}-{int(address) - int(network.network_address):x}"


def veth(machine_name: str) -> str:
    """The machine's end of a host's network cable, as systemd-nspawn names it."""
    return f"vb-{machine_name}"


def cgroup(lab: str, host: str) -> str:
    """The control group of a host, in every hierarchy."""
    return f"casa-{tag(lab)}-{host}"


def comment(lab: str) -> str:
    """Marks the lab's packet filter rules."""
    return COMMENT_PREFIX + lab


def check_addresses(network: IPv4Network, hosts: dict[str, IPv4Address]) -> None:
    """Raise :class:`RehearsalError` unless each host has a valid name and a free address of its own in the network."""
    if not 20 <= network.prefixlen <= 29:
        raise RehearsalError(f"network {network}: use a prefix length between 20 and 29")
    gateway = gateway_address(network)
    owner: dict[IPv4Address, str] = {gateway: "the machine itself"}
    for name, address in hosts.items():
        if not HOST_NAME.fullmatch(name):
            raise RehearsalError(f"host name {name!r}: use lower-case letters, digits and hyphens, a letter first")
        if address not in network or address in (network.network_address, network.broadcast_address):
            raise RehearsalError(f"host {name}: {address} is not a host address of {network}")
        if address in owner:
            raise RehearsalError(f"host {name}: {address} already belongs to {owner[address]}")
        owner[address] = name


def gateway_address(network: IPv4Network) -> IPv4Address:
    """The machine's own address in a lab: the first of the network."""
    return network.network_address + 1
