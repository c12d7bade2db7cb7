"""What may leave a facility, and what then goes from which host: decided before any host is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property

from casa_install.phases import Phase, phases_of
from casa_install.site.load import places_of, problems_without
from casa_install.site.model import Host, Site
from casa_install.site.problems import nearest


@dataclass(frozen=True)
class Scope:
    """What is to go: these hosts, or these components, or without both the whole facility."""

    hosts: tuple[str, ...] = ()
    components: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """It as the command line names it; empty for the whole facility."""
        return f"--component {','.join(self.components)}" if self.components else " ".join(self.hosts)


class Leaving:
    """A scope on a site."""

    def __init__(self, site: Site, scope: Scope) -> None:
        self.site, self.scope = site, scope

    @property
    def whole(self) -> bool:
        """The facility as such goes."""
        return not (self.scope.hosts or self.scope.components)

    @cached_property
    def phases(self) -> dict[str, tuple[str, ...]]:
        """Phase -> hosts that lose what it made, for every phase that changes hosts."""
        return {phase.name: tuple(host.name for host in phase.hosts(self.site) if self._goes(phase, host))
                for phase in phases_of(self.site) if phase.playbook}

    def _goes(self, phase: Phase, host: Host) -> bool:
        return self.whole or phase.name in self.scope.components or host.name in self.scope.hosts

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that loses something, in the inventory's order."""
        losing = {host for hosts in self.phases.values() for host in hosts}
        return tuple(host.name for host in self.site.hosts if host.name in losing)

    @property
    def components(self) -> tuple[str, ...]:
        """Phases of which nothing is left anywhere."""
        return () if self.scope.hosts else tuple(name for name, hosts in self.phases.items() if hosts)

    def partly(self, phase: str) -> tuple[str, ...]:
        """Hosts that leave what stays on others: nodes of a cluster, execute points of a pool."""
        return () if phase in self.components else self.phases.get(phase, ())

    def refusals(self, installed: Collection[str]) -> list[str]:
        """Why the scope must not go, each a sentence; none when it may.

        :param installed: phases that stand on hosts, or may.
        """
        if self.scope.hosts:
            return self._unknown_hosts() or self._needed_hosts()
        return [sentence for name in self.scope.components for sentence in self._needed_component(name, installed)]

    def _unknown_hosts(self) -> list[str]:
        names = [host.name for host in self.site.hosts]
        return [f"{host} is not in the inventory; {nearest(host, names, 'hosts are ' + ', '.join(names))}"
                for host in self.scope.hosts if host not in names]

    def _needed_hosts(self) -> list[str]:
        problems = problems_without(self.site, self.scope.hosts)
        who = " and ".join(self.scope.hosts)
        return [f"{who} cannot go, for the rest would be no site; {problem}" for problem in problems]

    def _needed_component(self, name: str, installed: Collection[str]) -> list[str]:
        table = {phase.name: phase for phase in phases_of(self.site)}
        if name not in self.phases:
            return [f"{name} is nothing that stands on hosts; components are {', '.join(self.phases)}"]
        together = going_with(self.scope.components, table, installed)
        needing = [other for other in self.phases if other in going_with([name], table, installed)
                   and other not in self.scope.components]
        if not needing:
            return []
        if len(needing) == len(self.phases) - 1:
            return [f"{name} cannot go alone, for all the others need it; casa-install remove takes the whole facility"]
        whole = table[name].part_of
        why = f"is part of {whole}" if whole in needing else f"is needed by {', '.join(needing)}"
        return [f"{name} {why}; what goes together: --component "
                f"{','.join(other for other in self.phases if other in together)}"]


def going_with(names: Collection[str], table: Mapping[str, Phase], installed: Collection[str]) -> set[str]:
    """These phases, all that cannot go on without them, and what they cannot be taken out of."""
    found = set(names)
    while True:
        more = {whole for name in found if (whole := table[name].part_of)}
        more |= {name for each in found for name in needed_by(each, table) if name in installed}
        if more <= found:
            return found
        found |= more


def needed_by(name: str, table: Mapping[str, Phase]) -> set[str]:
    """Phases that cannot go on without a phase, directly or through others."""
    names = {name}
    for phase in table.values():  # needs stand above who needs them
        if names & (set(phase.needs) - set(phase.outlives)):
            names.add(phase.name)
    return names - {name}


def what_is_left_to_do(leaving: Leaving) -> str:
    """The sentence that ends a removal of hosts or components: what the admin does now."""
    if leaving.scope.components:
        return f"{', '.join(leaving.scope.components)}: gone; the next apply installs it again."
    files = [f"{place.file}:{place.line}" for host in leaving.scope.hosts
             for place in places_of(leaving.site.inventory, host)]
    again = f"casa-install --inventory {leaving.site.inventory}"
    return (f"{', '.join(leaving.scope.hosts)}: out of the facility. Take it out of the inventory "
            f"({', '.join(files)}) and run: {again}. While it is there, an apply installs it again.")
