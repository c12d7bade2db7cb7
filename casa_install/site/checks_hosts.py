"""Checks of groups, host names and addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from casa_install.site.ini import Inventory
from casa_install.site.model import GROUPS, HostSettings, Vaulted
from casa_install.site.problems import Place, Problems, nearest
from casa_install.site.values import PLACEHOLDER, placeholder, shown, validate
from casa_install.site.variables import EXECUTE, IMPLICIT, Variables

SINGLE = ("condor_manager", "condor_access", "xcache", "registry", "origin")
"""Groups of which a site has one host."""
OPTIONAL = ("origin",)
SERVICES = {"api": "kube_control", "hub": None, "dask": None, "dask-worker": None, "registry": "registry",
            "xcache": "xcache",
            "localhost": None}
"""Names that the zone gives to services -> the group whose host may have the name as its own."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class HostRead:
    """A host as far as it could be read: what is wrong with one part of it hides no problem of another."""

    name: str
    address: IPv4Address | None
    groups: tuple[str, ...]
    settings: HostSettings
    """The good ones."""


def check_groups(inventory: Inventory, variables: Variables, site: Mapping[str, Any], problems: Problems) -> None:
    """Every group that a site needs has hosts, and every host is in a group that casa-install knows."""
    _unknown_groups(inventory, variables, problems)
    for name, title in GROUPS.items():
        if name not in OPTIONAL and not variables.members.get(name):
            group = inventory.groups.get(name)
            problems.add(group.place if group else inventory.end, f"no host is in [{name}]",
                         f"write the host of it below [{name}] ({title})")
    for name in SINGLE:
        _one_host(name, inventory, variables, problems, "keep one host")
    control = variables.members.get("kube_control", [])
    if len(control) > 1 and len(control) % 2 == 0:
        _one_host("kube_control", inventory, variables, problems,
                  "an even number of control hosts survives no more failures than one less: keep one host")
    _one_host("kube_control", inventory, variables, problems, "several control hosts are not supported yet: keep one")
    for name in ("gateway", "kube_workers"):
        for host in variables.members.get(name, []):
            if host in control:
                problems.add(_member_place(inventory, name, host), f"{host} is in [kube_control] and in [{name}]",
                             f"write another host in [{name}]: control hosts run no pods of users or gateways")
    _origin(inventory, variables, site, problems)


def _member_place(inventory: Inventory, group: str, host: str) -> Place:
    known = inventory.groups[group].hosts if group in inventory.groups else {}
    return known.get(host, inventory.places[host])


def _one_host(name: str, inventory: Inventory, variables: Variables, problems: Problems, remedy: str) -> None:
    hosts = variables.members.get(name, [])
    if len(hosts) > 1:
        place = _member_place(inventory, name, hosts[1])
        if not any(each.line == place.line and each.file == place.file and f"[{name}] has" in each.message
                   for each in problems.found):
            problems.add(place, f"[{name}] has {len(hosts)} hosts", remedy)


def _unknown_groups(inventory: Inventory, variables: Variables, problems: Problems) -> None:
    """Groups of the admin's own are welcome as long as they are not misspelt and hold no host alone."""
    placed = {host for name in GROUPS for host in variables.members.get(name, [])}
    for name, group in inventory.groups.items():
        if name in GROUPS or name in IMPLICIT:
            continue
        likely = nearest(name, GROUPS, "")
        alone = [host for host in variables.members[name] if host not in placed]
        if likely or alone:
            problems.add(group.place, f"[{name}] is not a group of a site",
                         likely or f"groups are {', '.join(GROUPS)}")
            placed |= set(alone)
        elif not group.declared:
            problems.add(group.place, f"[{name}:vars] is for a group without hosts", "add the group or delete this")
    for host, place in inventory.places.items():
        if host not in placed:
            problems.add(place, f"{host} is in no group of a site", f"write it below one of {', '.join(GROUPS)}")


def _origin(inventory: Inventory, variables: Variables, site: Mapping[str, Any], problems: Problems) -> None:
    hosts, chosen = variables.members.get("origin", []), variables.site.get("casa_xcache_origin")
    for host in hosts:
        if host in variables.members.get("xcache", []):
            problems.add(_member_place(inventory, "origin", host), f"{host} is in [xcache] and in [origin]",
                         "write another host in [origin]: both serve on port 1094")
    if hosts and not site.get("rehearsal"):
        problems.add(_member_place(inventory, "origin", hosts[0]), "[origin] is for rehearsals only",
                     "delete it and set casa_xcache_origin to the host:port of your storage")
    elif hosts and chosen:
        problems.add(chosen.place, f"casa_xcache_origin is set, and [origin] has {hosts[0]}, from which the cache "
                                   "would not read", "delete one of the two")
    elif not hosts and not chosen:
        problems.add(_all_vars(inventory), "nothing says where the cache reads from",
                     "set casa_xcache_origin to the host:port of your storage")


def _all_vars(inventory: Inventory) -> Place:
    group = inventory.groups.get("all")
    return group.place if group else inventory.end


def read_hosts(inventory: Inventory, variables: Variables, site: Mapping[str, Any],
               problems: Problems) -> list[HostRead]:
    """Every host, whatever is wrong with it."""
    rehearsal = bool(site.get("rehearsal"))
    owners: dict[IPv4Address, str] = {}
    hosts = []
    for name, place in inventory.places.items():
        _check_name(name, place, variables, rehearsal, problems)
        address = _address(name, place, variables, rehearsal, problems)
        if address is not None:
            where = variables.hosts[name]["ansible_host"].place
            if owners.setdefault(address, name) != name:
                problems.add(where, f"{name} has the address of {owners[address]} ({address})", "write the host's own")
            else:
                _inside(name, address, where, site, problems)
        groups = tuple(group for group in GROUPS if name in variables.members.get(group, []))
        hosts.append(HostRead(name, address, groups, _settings(name, variables, rehearsal, problems)))
    return hosts


def _check_name(name: str, place: Place, variables: Variables, rehearsal: bool, problems: Problems) -> None:
    if placeholder(name) == PLACEHOLDER and not rehearsal:
        problems.add(place, f"{name} still has {PLACEHOLDER} in its name", "write the host's own")
    elif not _NAME.fullmatch(name):
        short = name.split(".")[0].lower()
        problems.add(place, f"{name} is not a host name",
                     f"write {short}: the domain is casa_domain" if "." in name and _NAME.fullmatch(short)
                     else "write a short name of lower-case letters, digits and hyphens, a letter first")
    elif name in SERVICES and name not in [*variables.members.get(SERVICES[name] or "", [])[:1]]:
        problems.add(place, f"{name}.<domain> is the name of a service",
                     f"name the host otherwise, such as {name}-1")


def _address(name: str, place: Place, variables: Variables, rehearsal: bool, problems: Problems) -> IPv4Address | None:
    given = variables.hosts[name].get("ansible_host")
    if given is None:
        problems.add(place, f"{name} has no address", f"write {name} ansible_host=ADDRESS")
        return None
    if isinstance(given.data, Vaulted):
        problems.add(given.place, f"the address of {name} is encrypted", "write it in clear")
        return None
    waiting = None if rehearsal else placeholder(given.data)
    if waiting:
        problems.add(given.place, f"{name} still has {waiting} as its address",
                     "write the host's own, such as 10.1.0.11")
        return None
    try:
        return IPv4Address(str(given.data).strip("\"'"))
    except ValueError:
        problems.add(given.place, f"ansible_host={shown(given.data)} of {name} is not an IPv4 address",
                     "write the host's address such as 10.1.0.11")
        return None


def _settings(name: str, variables: Variables, rehearsal: bool, problems: Problems) -> HostSettings:
    values: dict[str, Any] = {}
    for field in HostSettings.model_fields:
        given = variables.hosts[name].get(f"casa_{field}")
        if given is None:
            continue
        if name not in variables.members.get(EXECUTE, []):
            problems.add(given.place, f"{given.name} is for execute points, which {name} is not",
                         f"delete it or write {name} below [{EXECUTE}]")
            continue
        values[field] = validate(HostSettings, field, given, problems, rehearsal=rehearsal)
    return HostSettings(**values)


def _inside(name: str, address: IPv4Address, where: Place, site: Mapping[str, Any], problems: Problems) -> None:
    network: IPv4Network | None = site.get("network")
    if network is None:
        return
    if address not in network:
        problems.add(where, f"{address} of {name} is outside casa_network ({network})",
                     "correct the address or casa_network")
    elif address in (network.network_address, network.broadcast_address):
        problems.add(where, f"{address} of {name} is the first or last address of {network}", "write another")
    elif site.get("rehearsal") and address == network.network_address + 1:
        problems.add(where, f"{address} of {name} is the bridge's own address", "write another")
