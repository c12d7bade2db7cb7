"""What each component needs of its hosts: memory, room, ports, and the absence of somebody else's software.

The numbers are of an empty facility: what its programs and images take, not what users will store. Those of `/usr` and
of apt's cache are estimates, from the sizes that apt tells of packages with all that they bring along.
"""

from __future__ import annotations

from dataclasses import dataclass

from casa_install.rolevars.xcache import PORT as XROOTD
from casa_install.site.model import GROUPS, Host, Site

GIB = 1 << 30
FEW = 1000
"""Inodes for a directory of settings, logs or large files."""


@dataclass(frozen=True)
class Place:
    """A directory that fills: GiB without which an installation breaks off, and GiB to live in."""

    path: str
    needed: float
    comfortable: float
    inodes: int = FEW
    """Files and directories that an installation makes there."""


@dataclass(frozen=True)
class Software:
    """A program that, when somebody else installed it, a role would damage (or, ``harmless``, leaves alone)."""

    program: str
    why: str
    harmless: bool = False


@dataclass(frozen=True)
class Component:
    """One kind of daemons on the hosts of some groups."""

    title: str
    groups: tuple[str, ...]
    phases: tuple[str, ...]
    """Where one of these has begun, the component's programs, ports and files are ours."""
    memory: tuple[float, float] = (0, 0)
    """GiB needed, and comfortable."""
    cores: int = 1
    places: tuple[Place, ...] = ()
    tcp: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()
    daemons: tuple[str, ...] = ()
    """How names of its processes begin."""
    software: tuple[Software, ...] = ()


_NODES = ("kube_control", "kube_workers", "gateway")
_POOL = ("condor_manager", "condor_access", "condor_execute")
_XROOTD = Software("xrootd", "removal of the site would take its packages away")

COMPONENTS = (
    Component("every host", tuple(GROUPS), ("base",),
              places=(Place("/", 0.3, 1), Place("/usr", 0.3, 1, 5000), Place("/var/cache/apt", 0.5, 1))),
    Component("a Kubernetes node", _NODES, ("kubernetes",), (1, 2), 1,
              (Place("/usr", 0.4, 1, 5000), Place("/var/lib/containerd", 3, 20, 150_000),
               Place("/var/lib/kubelet", 0.5, 5)),
              (10248, 10250), (), ("kube",),
              (Software("containerd", "its unit, settings and containers would be overwritten"),
               Software("dockerd", "docker and Kubernetes would share a containerd and the packet filter"),
               *(Software(program, "the host is a node of another cluster, or was")
                 for program in ("kubelet", "kubeadm", "k3s", "rke2", "microk8s")))),
    Component("the control plane", ("kube_control",), ("kubernetes",), (0.7, 2), 2, (Place("/var/lib/etcd", 0.5, 5),),
              (2379, 2380, 2381, 6443, 10257, 10259), (), ("kube", "etcd")),
    Component("users' homes", ("kube_workers",), ("storage",), places=(Place("/var/lib/casa-volumes", 0.5, 10),)),
    Component("HTCondor", _POOL, ("condor",), (0.3, 1), 1,
              (Place("/usr", 0.2, 0.5, 5000), Place("/var/lib/condor", 0.5, 10)), (9618,), (9618,), ("condor",),
              (Software("condor_master", "its settings would be mixed with the site's, and removal of the site would "
                                         "take its packages and files away"),)),
    Component("the worker image", ("condor_execute",), ("condor", "worker"),
              places=(Place("/usr", 0.3, 0.5, 5000), Place("/var/lib/casa", 3, 10, 80_000))),
    Component("the cache", ("xcache",), ("xcache",), (0.5, 2), 1,
              (Place("/usr", 0.1, 0.3), Place("/var/cache/xcache", 2, 100)), (XROOTD,), (), ("xrootd",), (_XROOTD,)),
    Component("the rehearsal's storage", ("origin",), ("origin",), (0.3, 1), 1,
              (Place("/usr", 0.1, 0.3), Place("/srv/store", 0.2, 1)), (XROOTD,), (), ("xrootd",), (_XROOTD,)),
    Component("the site's name server", ("dns",), ("dns",), (0.2, 0.5), 1, (Place("/usr", 0.1, 0.2),), (53,), (53,),
              ("named",), (Software("named", "its zones would no longer be served"),)),
    Component("the site registry", ("registry",), ("registry",), (0.3, 1), 1,
              (Place("/usr", 0.1, 0.2), Place("/var/lib/docker-registry", 4, 20)), (5000,), (), ("nginx",),
              (Software("docker-registry", "its images would be lost"),
               Software("nginx", "it stays as it is, and the registry's front is another process", harmless=True))),
)

TALK = (
    ((*_NODES, *_POOL, "xcache", "origin", "dns", "registry"), ("dns",), (53,)),
    ((*_NODES, "condor_execute"), ("registry",), (5000,)),
    (_NODES, ("kube_control",), (6443,)),
    (("kube_control",), _NODES, (10250,)),
    (_NODES, _NODES, ()),
    (_NODES, ("condor_access",), (9618,)),
    (_POOL, _POOL, (9618,)),
    (_POOL, ("gateway",), ()),
    ((*_NODES, "condor_execute"), ("xcache",), (XROOTD,)),
    (("xcache",), ("origin",), (XROOTD,)),
)
"""Hosts of these groups connect to these TCP ports of hosts of those; without ports, pods do that have their own."""


def of(host: Host) -> tuple[Component, ...]:
    """The components that a host has."""
    return tuple(c for c in COMPONENTS if set(c.groups) & set(host.groups))


def peers(site: Site, host: Host) -> dict[Host, list[int]]:
    """Other hosts that this one connects to, in the inventory's order, each with its TCP ports."""
    found: dict[Host, list[int]] = {}
    for other in site.hosts:
        ways = [ports for sources, targets, ports in TALK
                if set(sources) & set(host.groups) and set(targets) & set(other.groups)]
        if ways and other.name != host.name:
            found[other] = sorted({port for ports in ways for port in ports})
    return found
