"""Inventory -> Site. The only place that knows what an inventory looks like."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from casa_install.site.checks_connections import check_connections
from casa_install.site.checks_hosts import check_groups, read_hosts
from casa_install.site.checks_site import SiteChecks
from casa_install.site.extra import read_extra
from casa_install.site.ini import Given, Inventory, literal, read_ini
from casa_install.site.model import Host, Settings, Site
from casa_install.site.problems import InventoryErrors, Place, Problem, Problems
from casa_install.site.values import validate
from casa_install.site.variables import Variables, collect
from casa_install.site.yamlvars import Opener


def load_site(inventory: Path, *, vault_passwords: Sequence[Path] = (), extra: Sequence[str] = (),
              rehearse: bool = False, without: Collection[str] = ()) -> Site:
    """Read an INI inventory with the group_vars and host_vars beside it.

    :param vault_passwords: files with ansible-vault passwords; without them encrypted secrets stay closed.
    :param extra: ``NAME=VALUE`` or ``@FILE`` of the command line, which overrule the inventory.
    :param rehearse: take the site as a rehearsal whatever it says itself.
    :param without: hosts that are left out, as if the inventory did not name them.
    :raises InventoryErrors: with every problem and its line.
    """
    problems = Problems()
    read = read_ini(inventory, problems)
    if not read.groups:
        if not problems.found:
            problems.add(read.end, "holds no hosts",
                         "write [group] lines with hosts below, or let casa-install init write it")
        problems.stop_if_any()
    opener = Opener(vault_passwords, problems)
    given = read_extra(extra, opener, problems)
    variables = collect(read, opener, problems, given)
    _leave_out(read, variables, without)
    if rehearse:
        variables.site["casa_rehearsal"] = Given("casa_rehearsal", "true", read.end, ini=True)
    directory = inventory.absolute().parent
    values = {name: _placed(value, directory) for name, value in _values(read, variables, problems).items()}
    check_groups(read, variables, values, problems)
    hosts = read_hosts(read, variables, values, problems)
    check_connections(variables, values, problems)
    checks = SiteChecks(values, variables.site, _head(read), problems)
    checks.run(hosts)
    problems.stop_if_any(besides=checks.passing.found)
    return Site(settings=Settings(**values), hosts=tuple(Host(**vars(host)) for host in hosts),
                inventory=inventory.absolute(), passing=tuple(checks.passing.found), overruled=tuple(extra),
                vault_passwords=tuple(vault_passwords),
                extra={each.name: literal(each.data) if each.ini else each.data for each in given
                       if not each.name.startswith("casa_")})


def problems_without(site: Site, hosts: Collection[str]) -> tuple[Problem, ...]:
    """What would be wrong with a site's inventory if it did not name these hosts."""
    try:
        load_site(site.inventory, vault_passwords=site.vault_passwords, extra=site.overruled, without=hosts)
    except InventoryErrors as errors:
        return tuple(each for each in errors.problems if each not in site.passing)
    return ()


def places_of(inventory: Path, host: str) -> list[Place]:
    """Every line of a good INI file that names a host in a group, in their order."""
    read = read_ini(inventory, Problems())
    return sorted({group.hosts[host] for group in read.groups.values() if host in group.hosts})


def _leave_out(read: Inventory, variables: Variables, hosts: Collection[str]) -> None:
    for host in hosts:
        del read.hosts[host], read.places[host], variables.hosts[host]
        for group in read.groups.values():
            group.hosts.pop(host, None)
    for members in variables.members.values():
        members[:] = [host for host in members if host not in hosts]


def _head(read: Inventory) -> Place:
    """Where a setting that is missing belongs."""
    group = read.groups.get("all")
    return group.place if group else read.end


def _placed(value: Any, directory: Path) -> Any:
    """A value whose paths are absolute: they are written relative to the inventory."""
    if isinstance(value, tuple):
        return tuple(_placed(each, directory) for each in value)
    if not isinstance(value, Path):
        return value
    with contextlib.suppress(RuntimeError):  # the ~ of nobody stays, and is missed when the file is read
        value = value.expanduser()
    return directory / value


def _values(read: Inventory, variables: Variables, problems: Problems) -> dict[str, Any]:
    """Values of all settings; those with problems are left out, or are what they were meant to be."""
    given = variables.site.get("casa_rehearsal")
    rehearsal = bool(given and validate(Settings, "rehearsal", given, Problems(), rehearsal=True))
    values: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        given = variables.site.get(f"casa_{name}")
        if given is not None:
            before = len(problems.found)
            value = validate(Settings, name, given, problems, rehearsal=rehearsal)
            if len(problems.found) == before:
                values[name] = value
            elif (meant := _in_small_letters(name, given, rehearsal)) is not None:
                values[name] = meant
        elif field.is_required():
            problems.add(_head(read), f"casa_{name} is missing", f"write casa_{name}: {field.description}")
        else:
            values[name] = field.get_default(call_default_factory=True)
    return values


def _in_small_letters(name: str, given: Given, rehearsal: bool) -> Any:
    """What a refused value is without its capital letters, so that what else is wrong with it is told at once."""
    if not isinstance(given.data, str):
        return None
    return validate(Settings, name, replace(given, data=given.data.lower()), Problems(), rehearsal=rehearsal)
