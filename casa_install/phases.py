"""The phases of an installation: what each makes true, on which hosts, after which others.

The order of the table is the order of the screen. Phases whose needs are met run side by side.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from casa_install.site.model import Host, Site

ROOT = Path(__file__).resolve().parent.parent
PLAYBOOKS = ROOT / "playbooks"

EVERY_HOST = "all"


@dataclass(frozen=True)
class Phase:
    """One step of an installation.

    A phase with groups is a playbook of its own name that changes these groups' hosts; one without works on the
    installing machine (see :mod:`casa_install.steps`).
    """

    name: str
    title: str
    groups: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    """Programs and images that it builds."""
    seconds: float = 0
    """What it takes on two cores when there is something to do, until the journal knows better; the catalog of
    supplies knows it for what is built."""
    rehearsal_only: bool = False
    outlives: tuple[str, ...] = ()
    """Those of its needs that may be taken away again while it stays: it comes up with them, and goes on without."""
    part_of: str | None = None
    """The phase without which it cannot be taken away, because it has no removal of its own."""

    @property
    def playbook(self) -> Path | None:
        """The playbook that makes the phase true on hosts."""
        return PLAYBOOKS / f"{self.name}.yml" if self.groups else None

    def hosts(self, site: Site) -> tuple[Host, ...]:
        """The site's hosts that this phase changes, in the inventory's order."""
        return tuple(h for h in site.hosts if EVERY_HOST in self.groups or set(self.groups) & set(h.groups))


NODES = ("kube_control", "kube_workers", "gateway")
POOL = ("condor_manager", "condor_access", "condor_execute")

PROGRAMS = ("kubernetes", "containerd", "helm", "cilium", "traefik")
CLUSTER_IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "coredns", "pause", "cilium",
                  "cilium-operator", "traefik", "local-path-provisioner", "toolbox")
USER_IMAGES = ("hub", "proxy", "worker", "notebook")

PHASES: tuple[Phase, ...] = (
    Phase("hosts", "Virtual hosts are up", seconds=20, rehearsal_only=True),
    Phase("programs", "Programs are built", artifacts=PROGRAMS),
    Phase("images", "Images are built", needs=("programs",), artifacts=CLUSTER_IMAGES + USER_IMAGES),
    Phase("data", "The rehearsal's data is made", seconds=60, rehearsal_only=True),
    Phase("base", "Hosts trust the site", (EVERY_HOST,), needs=("hosts",), seconds=15),
    Phase("dns", "The site's names resolve", (EVERY_HOST,), needs=("base",), seconds=15),
    Phase("registry", "The site registry serves", ("registry",), needs=("dns",), seconds=20),
    Phase("condor", "The HTCondor pool matches jobs", POOL, needs=("dns",), seconds=119),
    Phase("origin", "The rehearsal's storage serves data", ("origin",), needs=("dns", "data"), seconds=10,
          rehearsal_only=True),
    Phase("xcache", "XCache serves the experiment's data", ("xcache",), needs=("dns", "origin"), seconds=25),
    Phase("publish", "The registry holds every image", needs=("images", "registry"), seconds=30),
    Phase("kubernetes", "Kubernetes is up", NODES, needs=("programs", "publish"), seconds=135),
    Phase("cilium", "Pods and services are connected", NODES, needs=("kubernetes",), seconds=39,
          part_of="kubernetes"),
    Phase("storage", "Volumes are provisioned", NODES, needs=("cilium",), seconds=10, part_of="kubernetes"),
    Phase("traefik", "The public address routes by name", ("kube_control",), needs=("cilium",), seconds=15),
    Phase("worker", "Execute points hold the worker image", ("condor_execute",), needs=("publish", "condor"),
          seconds=30, part_of="condor"),
    Phase("hub", "Users can log in", ("kube_control",), needs=("storage", "traefik", "worker", "xcache"), seconds=60,
          outlives=("worker", "xcache")),
    Phase("reference", "Expected histograms are known", needs=("data",), seconds=240, rehearsal_only=True),
)


def phases_of(site: Site) -> tuple[Phase, ...]:
    """The phases that a site needs, in the table's order; needs that it lacks are dropped from the others."""
    return only({p.name for p in PHASES if site.settings.rehearsal or not p.rehearsal_only}, PHASES)


def only(names: Collection[str], phases: Collection[Phase]) -> tuple[Phase, ...]:
    """Those of the phases that are named; what else they need is taken as it is."""
    return tuple(replace(p, needs=tuple(n for n in p.needs if n in names)) for p in phases if p.name in names)


def needed(names: Collection[str], phases: Collection[Phase]) -> set[str]:
    """These phases and all that they need, directly or through others."""
    found = set(names)
    for phase in reversed(list(phases)):  # needs stand above who needs them
        if phase.name in found:
            found |= set(phase.needs)
    return found


def following(name: str, phases: Collection[Phase]) -> tuple[Phase, ...]:
    """A phase and all that need it, directly or through others."""
    names = {name}
    for phase in phases:  # needs stand above who needs them
        if names & set(phase.needs):
            names.add(phase.name)
    return only(names, phases)


def named(word: str) -> str:
    """The name of a phase from the command line.

    :raises argparse.ArgumentTypeError: there is none of that name.
    """
    names = [phase.name for phase in PHASES]
    if word in names:
        return word
    near = difflib.get_close_matches(word, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"phases are {', '.join(names)}"
    raise argparse.ArgumentTypeError(f"{word!r} is no phase; {hint}")


def all_named(words: str) -> frozenset[str]:
    """The names of phases from the command line, with commas between them."""
    return frozenset(named(word.strip()) for word in words.split(","))
