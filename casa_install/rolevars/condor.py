"""Variables of the role ``condor``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from casa_install.credentials import Credentials
from casa_install.site.model import Host, Site
from casa_install.supply import Supply

ROLES = ("manager", "access", "execute")

FIRST_UID = 1879048192
LAST_UID = 2147352575
"""Numbers that neither Debian's accounts nor systemd's containers nor sub-uid ranges use."""

SCOPES = {
    "access": ("ADVERTISE_SCHEDD",),
    "execute": ("ADVERTISE_STARTD",),
}


def user_number(name: str) -> int:
    """The UID and GID of a user on the access point.

    It follows from the name alone: users who come and go never move another one's number, and none is used twice.
    """
    digest = hashlib.sha256(f"casa-install user {name}".encode()).digest()
    return FIRST_UID + int.from_bytes(digest[:8], "big") % (LAST_UID - FIRST_UID + 1)


def user_numbers(names: Iterable[str]) -> dict[str, int]:
    """Numbers of all users.

    :raises ValueError: two names have the same number (one chance in 500 for a thousand users).
    """
    numbers: dict[str, int] = {}
    owners: dict[int, str] = {}
    for name in names:
        number = user_number(name)
        if owners.setdefault(number, name) != name:
            raise ValueError(
                f"casa_users: {owners[number]!r} and {name!r} would share UID {number} on the access point; "
                "write one of the two names differently"
            )
        numbers[name] = number
    return numbers


def roles_of(host: Host) -> list[str]:
    """Which daemons of the pool a host runs."""
    return [role for role in ROLES if f"condor_{role}" in host.groups]


def update_seconds(cores: int) -> int:
    """How often daemons report to the manager: what it forgot in a restart comes back within this time.

    A small pool affords seconds; the manager of a large one hears at most about a hundred slots a second.
    """
    return min(300, max(5, cores // 100))


def variables(site: Site, supply: Supply, credentials: Credentials) -> dict[str, Any]:
    """Return the pool's layout, the users of the access point, keys, the daemons' tokens, and what jobs run in."""
    settings = site.settings
    members = [host for host in site.hosts if roles_of(host)]
    tokens = {}
    for host in members:
        if scopes := [scope for role in roles_of(host) for scope in SCOPES.get(role, ())]:
            tokens[host.name] = credentials.condor_token(
                f"condor@{settings.domain}", ["READ", "ADVERTISE_MASTER", *scopes]
            )
    execute = site.group("condor_execute")
    # a host that does not say its cores counts as a large one
    cores = sum(host.settings.condor_cpus or 128 for host in execute)
    return {
        "condor_domain": settings.domain,
        "condor_manager": str(site.one("condor_manager").address),
        "condor_hosts": {
            host.name: {
                "roles": roles_of(host),
                "address": str(host.address),
                "cpus": host.settings.condor_cpus,
                "memory": host.settings.condor_memory,
            }
            for host in members
        },
        "condor_users": user_numbers(settings.users),
        "condor_pool_key": credentials.condor_key("POOL"),
        "condor_users_key": credentials.condor_key("USERS"),
        "condor_tokens": tokens,
        "condor_update_seconds": update_seconds(cores),
        "condor_containers": settings.job_containers,
        "condor_container_binds": ["/etc/casa/ca.crt:/etc/casa/ca.crt:ro"],
        "condor_worker_image": supply.image("worker").rpartition(":")[2],
        "condor_shared_kernel": settings.rehearsal,
    }
