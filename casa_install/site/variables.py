"""Which variable counts for the site and for each host: Ansible's order, narrow scope last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from casa_install.site.ini import Given, Inventory
from casa_install.site.model import GROUPS, HostSettings, Settings
from casa_install.site.names import ANSIBLE_NAMES, HOST_NAMES, SITE_NAMES, intended
from casa_install.site.problems import Place, Problems, nearest
from casa_install.site.yamlvars import Opener, files_of, names_in, read_yaml

IMPLICIT = ("all", "ungrouped")
EXECUTE = "condor_execute"
"""The group for whose hosts the settings of a host are."""


@dataclass
class Variables:
    """All variables of an inventory by scope."""

    site: dict[str, Given]
    hosts: dict[str, dict[str, Given]]
    members: dict[str, list[str]]
    """Group -> hosts, those of its children included, in the inventory's order."""
    written: tuple[Given, ...]
    """Every variable at every place, those included that another one overrules."""


def collect(inventory: Inventory, opener: Opener, problems: Problems, extra: Iterable[Given] = ()) -> Variables:
    """Bring together the INI file, group_vars and host_vars.

    :param extra: what the command line gives; it counts for the site and for every host for which it has a meaning.
    """
    groups = {*IMPLICIT, *inventory.groups}
    parents = _parents(inventory, problems)
    members = _members(inventory, parents)
    folder = inventory.file.parent
    _check_names(inventory, groups, "group", problems)
    _check_names(inventory, inventory.hosts, "host", problems)

    everything: list[Given] = []

    def of_group(name: str) -> Iterator[Given]:
        given = list(inventory.groups[name].variables if name in inventory.groups else ())
        for file in files_of(folder / "group_vars", name):
            given += read_yaml(file, opener, problems)
        everything.extend(given)
        yield from given

    site: dict[str, Given] = {}
    for each in of_group("all"):
        if _allowed(each, SITE_NAMES, problems, HOST_NAMES, "is a setting of one host",
                    "write it on the host's line or under [condor_execute:vars]"):
            site[each.name] = each
    hosts: dict[str, dict[str, Given]] = {name: dict(site) for name in inventory.hosts}
    for name in sorted((g for g in inventory.groups if g != "all"), key=lambda g: (_depth(g, parents), g)):
        given = [each for each in of_group(name) if _host_scope(each, problems)]
        for host in members[name]:
            hosts[host].update({each.name: each for each in given})
    for host, inline in inventory.hosts.items():
        _check_repeats(host, inline, problems)
        written = [*inline, *(each for file in files_of(folder / "host_vars", host)
                              for each in read_yaml(file, opener, problems))]
        everything.extend(written)
        hosts[host].update({each.name: each for each in written if _host_scope(each, problems)})
    for each in extra:
        if _allowed(each, (*SITE_NAMES, *HOST_NAMES), problems, (), "", ""):
            everything.append(each)
            meant = members.get(EXECUTE, []) if each.name in HOST_NAMES else hosts
            for scope in ((site,) if each.name in SITE_NAMES else (hosts[host] for host in meant)):
                scope[each.name] = each
    return Variables(site, hosts, members, tuple(everything))


def _host_scope(given: Given, problems: Problems) -> bool:
    return _allowed(given, HOST_NAMES, problems, SITE_NAMES, "is a setting of the whole site",
                    "write it under [all:vars] or in group_vars/all.yml")


def _allowed(given: Given, here: Iterable[str], problems: Problems, elsewhere: Iterable[str], why: str,
             remedy: str) -> bool:
    """True for a variable that may stand here; Ansible's and the site's own variables may stand anywhere."""
    if given.name in here:
        return True
    if given.name in elsewhere:
        problems.add(given.place, f"{given.name} {why}", remedy)
    elif given.name.lower().startswith("casa"):
        problems.add(given.place, f"{given.name} is not a setting", _likely(given.name))
    elif meant := intended(given.name):
        what = "variable of Ansible's own" if meant in ANSIBLE_NAMES else "setting"
        problems.add(given.place, f"{given.name} is not a {what}",
                     f"did you mean {meant}? if it is a variable of yours, rename it")
    else:
        return True
    return False


def _likely(name: str) -> str:
    """A remedy for an unknown setting; what all names begin with says nothing about their likeness."""
    bare = name.lower().removeprefix("casa").strip("_-")
    known = (*Settings.model_fields, *HostSettings.model_fields)
    return nearest(bare, known, "docs/settings.md lists them all").replace("did you mean ", "did you mean casa_")


def _check_repeats(host: str, inline: list[Given], problems: Problems) -> None:
    first: dict[str, Given] = {}
    for each in inline:
        before = first.setdefault(each.name, each)
        if before.data != each.data:
            # without the values, which may be secrets
            problems.add(each.place, f"{host} has another {each.name} on line {before.place.line} already",
                         "write it once")


def _check_names(inventory: Inventory, known: Iterable[str], kind: str, problems: Problems) -> None:
    """Variable files whose group or host the inventory does not have are mistakes in their names."""
    for name, file in names_in(inventory.file.parent / f"{kind}_vars", problems):
        if name not in known and name not in GROUPS:
            problems.add(Place(file, 1), f"there is no {kind} {name}",
                         nearest(name, known, "rename or delete the file"))


def _parents(inventory: Inventory, problems: Problems) -> dict[str, set[str]]:
    """Group -> groups it is a child of, without circles."""
    parents: dict[str, set[str]] = {name: set() for name in inventory.groups}
    for group in inventory.groups.values():
        for child, place in group.children.items():
            if child not in inventory.groups:
                problems.add(place, f"there is no group {child}", nearest(child, inventory.groups, f"add [{child}]"))
            elif child == group.name or child in _above(group.name, parents):
                problems.add(place, f"{child} contains [{group.name}], which contains {child}", "delete one of them")
            else:
                parents[child].add(group.name)
    return parents


def _above(name: str, parents: dict[str, set[str]]) -> set[str]:
    """Every group around a group."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = parents[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _depth(name: str, parents: dict[str, set[str]]) -> int:
    return max((1 + _depth(parent, parents) for parent in parents[name]), default=0)


def _members(inventory: Inventory, parents: dict[str, set[str]]) -> dict[str, list[str]]:
    inside: dict[str, set[str]] = {name: set(group.hosts) for name, group in inventory.groups.items()}
    for name, group in inventory.groups.items():
        for above in _above(name, parents):
            inside[above] |= set(group.hosts)
    return {name: [host for host in inventory.hosts if host in hosts] for name, hosts in inside.items()}
