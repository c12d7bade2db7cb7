"""Name servers of the machine that its virtual hosts can ask."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from casa_install.rehearsal.commands import RehearsalError

RESOLV_CONFS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second has the real servers behind systemd-resolved's stub."""


def nameservers(resolv_conf: str) -> list[IPv4Address]:
    """IPv4 name servers of a resolv.conf that are not on the loopback, in its order."""
    found = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                address = IPv4Address(words[1])
            except AddressValueError:
                continue
            if not address.is_loopback and address not in found:
                found.append(address)
    return found


def machine_resolvers() -> list[IPv4Address]:
    """Name servers that the machine uses and that its virtual hosts reach through it.

    :raises RehearsalError: the machine only knows a resolver on its own loopback.
    """
    for path in RESOLV_CONFS:
        found = nameservers(path.read_text()) if path.is_file() else []
        if found:
            return found
    raise RehearsalError(
        "/etc/resolv.conf names no IPv4 name server that virtual hosts could reach (a loopback address is of no use "
        "to them): name one (--resolver ADDRESS)"
    )
