"""The phases of an installation: what each makes true, on which hosts, after which others.

The order of the table is the order of the screen. Phases whose needs are met run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """Supplied programs and images that its roles use."""
    rehearsal_only: bool = False

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
    Phase("hosts", "Virtual hosts are up", rehearsal_only=True),
    Phase("programs", "Programs are built", artifacts=PROGRAMS),
    Phase("images", "Images are built", needs=("programs",), artifacts=CLUSTER_IMAGES + USER_IMAGES),
    Phase("data", "The rehearsal's data is made", rehearsal_only=True),
    Phase("base", "Hosts trust the site", (EVERY_HOST,), needs=("hosts",)),
    Phase("dns", "The site's names resolve", (EVERY_HOST,), needs=("base",)),
    Phase("registry", "The site registry serves", ("registry",), needs=("dns",)),
    Phase("condor", "The HTCondor pool matches jobs", POOL, needs=("dns",)),
    Phase("origin", "The rehearsal's storage serves data", ("origin",), needs=("dns", "data"), rehearsal_only=True),
    Phase("xcache", "XCache serves the experiment's data", ("xcache",), needs=("dns", "origin")),
    Phase("publish", "The registry holds every image", needs=("images", "registry")),
    Phase("kubernetes", "Kubernetes is up", NODES, needs=("programs", "publish")),
    Phase("cilium", "Pods and services are connected", NODES, needs=("kubernetes",)),
    Phase("storage", "Volumes are provisioned", NODES, needs=("cilium",)),
    Phase("traefik", "The public address routes by name", ("kube_control",), needs=("cilium",)),
    Phase("worker", "Execute points hold the worker image", ("condor_execute",), needs=("publish", "condor")),
    Phase("hub", "Users can log in", ("kube_control",), needs=("storage", "traefik", "worker", "xcache")),
    Phase("reference", "Expected histograms are known", needs=("data",), rehearsal_only=True),
)


def phases_of(site: Site) -> tuple[Phase, ...]:
    """The phases that a site needs, in the table's order; needs that it lacks are dropped from the others."""
    kept = [p for p in PHASES if site.settings.rehearsal or not p.rehearsal_only]
    names = {p.name for p in kept}
    return tuple(
        Phase(p.name, p.title, p.groups, tuple(n for n in p.needs if n in names), p.artifacts, p.rehearsal_only)
        for p in kept
    )
