"""What hosts say before anything goes: who does not answer, and what would be lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from casa_install.engine import playbook
from casa_install.engine.playbook import Failure, Listener, Outcome, Play
from casa_install.facility import Facility
from casa_install.leaving import Leaving
from casa_install.phases import PLAYBOOKS

_JOBS, _VOLUMES, _SERVERS = "Jobs are read", "Volumes are read", "Users' servers are read"
_PLAYBOOK = PLAYBOOKS / "leaving.yml"


@dataclass(frozen=True)
class Farewell:
    """The answers; only what belongs to the hosts and components that leave."""

    silent: tuple[str, ...] = ()
    """Hosts that cannot be reached."""
    failures: tuple[Failure, ...] = ()
    """What went wrong on hosts that can."""
    jobs: Mapping[str, int] = field(default_factory=dict)
    """User -> jobs in a queue that goes."""
    claims: Mapping[str, list[str]] = field(default_factory=dict)
    """Node -> claims of the volumes that can be used there alone."""
    servers: Mapping[str, list[str]] = field(default_factory=dict)
    """Node -> users whose servers run there."""

    def refusals(self, leaving: Leaving, *, force: bool) -> list[str]:
        """Why nothing may go now, each a sentence."""
        found = [f"{failure.host or 'the hosts'} could not be asked ({failure.task}): "
                 f"{' '.join(failure.message.split())}" for failure in self.failures]
        site = leaving.site
        if leaving.partly("kubernetes") and site.one("kube_control").name in self.silent:
            found.append(f"{site.one('kube_control').name} does not answer, and the cluster has to let go of "
                         f"{', '.join(leaving.partly('kubernetes'))}; switch it on")
        if self.jobs and not force:
            jobs = ", ".join(f"{count} of {user}" for user, count in sorted(self.jobs.items()))
            found.append(f"jobs are in the queue ({jobs}); let them end or remove them with condor_rm, or write "
                         "--force: they are taken out of the queue")
        for node, claims in self.claims.items():
            if not force:
                stays = "go with it" if site.settings.rehearsal else f"stay in {node}:/var/lib/casa-volumes"
                found.append(f"{node} has the volumes of {', '.join(claims)}; copy their files first, or write "
                             f"--force: they {stays}, and their users' next servers begin with empty homes")
        return found


def ask(facility: Facility, leaving: Leaving, variables: Path, workspace: Path, log: Path,
        stop: Path | None = None) -> Farewell:
    """Ask the hosts that lose something, and those that must forget others; changes nothing.

    ssh tries for a minute before it gives a silent one up.
    """
    site = leaving.site
    clusters = [site.one("kube_control").name] if leaving.partly("kubernetes") else []
    queues = [host.name for host in site.group("condor_access") if "condor" in leaving.components]
    pool = [host.name for name in ("condor_manager", "condor_access") for host in site.group(name)]
    asked = {*leaving.hosts, *clusters, *(pool if leaving.partly("condor") else ())}
    play = Play(_PLAYBOOK, {"asked_hosts": sorted(asked), "asked_queues": queues, "asked_clusters": clusters})
    outcome = playbook.run(facility.target, [play], variables, workspace, log, Listener(),
                           (_JOBS, _VOLUMES, _SERVERS), stop=stop)
    silent = {failure.host for failure in outcome.failures if failure.unreachable}
    nodes = set(leaving.partly("kubernetes"))
    return Farewell(
        silent=tuple(host.name for host in site.hosts if host.name in silent),
        failures=tuple(failure for failure in outcome.failures if not failure.unreachable),
        jobs=Counter(line for host in queues for line in _lines(outcome, host, _JOBS)),
        claims=_by_node(outcome, clusters, _VOLUMES, nodes), servers=_by_node(outcome, clusters, _SERVERS, nodes))


def _lines(outcome: Outcome, host: str, task: str) -> list[str]:
    result = outcome.results.get((host, task), {})
    return str(result.get("stdout", "")).split("\n") if result.get("stdout") and not result.get("rc") else []


def _by_node(outcome: Outcome, clusters: list[str], task: str, nodes: set[str]) -> dict[str, list[str]]:
    """Second words of lines by their first, which is a node that leaves."""
    found: dict[str, list[str]] = {}
    for line in (line for host in clusters for line in _lines(outcome, host, task)):
        node, _, what = line.partition(" ")
        if node in nodes:
            found.setdefault(node, []).append(what.strip())
    return found
