"""Judges clock, memory, cores and room on disks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from casa_install.preflight import components
from casa_install.preflight.components import FEW, GIB, Place
from casa_install.preflight.facts import Facts, Space
from casa_install.preflight.findings import Finding, refusal, warning
from casa_install.site.model import Host, Site

PACKAGES = "/var/lib/dpkg"
BELIEVED = 30
"""Seconds between two clocks from which on certificates and tokens are no longer believed."""
NOTICED = 2
"""Seconds between two clocks that no time service would leave."""
FULL = 0.25
"""GiB that must be free in a directory where a component already stands: what it needed it has taken."""
EXECUTED = {PACKAGES: "packages run their scripts there", "/var/lib/condor": "jobs run their programs there",
            "/var/lib/casa": "jobs run their programs there"}
"""Where programs are run, and which. (A container's file system is executable whatever lies below it.)"""
SET_CLOCK = "let a time service set it (timedatectl set-ntp true; chronyc tracking)"


def ahead(facts: Facts, received: float) -> float:
    """Seconds that a host's clock is surely ahead of this machine's, negative when it is behind.

    The host looked at its clock after this machine had ``sent`` the question and before it had the answer.
    """
    if facts.clock > received:
        return facts.clock - received
    return min(0.0, facts.clock - facts.sent)


def clocks(hosts: Mapping[Host, float]) -> Iterator[Finding]:
    """Findings of all clocks together; ``hosts`` gives the seconds each is ahead."""
    for host, seconds in hosts.items():
        if abs(seconds) > NOTICED:
            make = refusal if abs(seconds) > BELIEVED else warning
            way = "ahead of" if seconds > 0 else "behind"
            yield make(host, "clock", f"its clock is {abs(seconds):.0f} s {way} this machine's",
                       f"{SET_CLOCK}, and this machine's too")
    close = {host: seconds for host, seconds in hosts.items() if abs(seconds) <= BELIEVED}
    if close:
        first, last = min(close, key=close.__getitem__), max(close, key=close.__getitem__)
        if close[last] - close[first] > BELIEVED:
            yield refusal(last, "clock", f"its clock is {close[last] - close[first]:.0f} s ahead of {first.name}'s",
                          SET_CLOCK)


def keeping(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Whether a daemon keeps the clock; where no package is there for it, the site installs one."""
    kept = facts.kept
    if site.settings.rehearsal:
        return
    if not kept.daemon and kept.installed:
        yield warning(host, "clock", "the daemon that keeps its clock is installed and does not run",
                      "start it (systemctl enable --now chrony, or systemd-timesyncd)")
    elif kept.daemon and not kept.right:
        yield warning(host, "clock", f"{kept.daemon} has not set its clock yet",
                      "let it reach a time server (chronyc sources, or timedatectl timesync-status)")


def memory(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Memory and cores for all components of a host together."""
    parts = components.of(host)
    cache = site.settings.xcache_memory if "xcache" in host.groups else 0
    needed, comfortable = (sum(part.memory[i] for part in parts) + cache for i in (0, 1))
    # every virtual host shows the whole machine: more for each would mean nothing
    comfortable = needed if site.settings.rehearsal else comfortable
    there, what = facts.memory / GIB, " and ".join(part.title for part in parts if any(part.memory))
    if there < max(needed, comfortable):
        make = refusal if there < needed else warning
        least = needed if there < needed else comfortable
        how = "needed" if there < needed else "comfortable"
        yield make(host, "memory", f"has {there:.1f} GiB of memory, and {least:.1f} are {how} for {what}",
                   "give it more, or move components to other hosts")
    cores = max((part.cores for part in parts), default=1)
    if facts.cores < cores:
        yield refusal(host, "memory", f"has {facts.cores} core, and {cores} are needed for {what}", "give it more")
    offered = host.settings.condor_memory
    if offered and offered * 2**20 > facts.memory:
        yield warning(host, "memory", f"casa_condor_memory={offered} is more than its {facts.memory >> 20} MiB",
                      "write less, or jobs will be ended for want of memory")
    if (host.settings.condor_cpus or 0) > facts.cores:
        yield warning(host, "memory", f"casa_condor_cpus={host.settings.condor_cpus} is more than its {facts.cores} "
                      "cores", "write less, unless jobs shall share cores")


def places(site: Site, host: Host) -> list[tuple[Place, tuple[str, ...]]]:
    """Directories that fill on a host, each with the phases after whose beginning it holds what is ours."""
    docker = {"/var/lib/casa": "/var/lib/docker"} if site.settings.job_containers == "docker" else {}
    return [(replace(place, path=docker.get(place.path, place.path)), part.phases)
            for part in components.of(host) for place in part.places]


def disks(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Room for what goes on each file system, all its directories together."""
    for path, why in EXECUTED.items():
        if path in facts.spaces and facts.spaces[path].noexec:
            yield refusal(host, "disk", f"{path} is on a file system that is mounted noexec, and {why}",
                          "mount it with exec (/etc/fstab)")
    devices: dict[int, list[tuple[Place, bool]]] = {}
    for place, phases in places(site, host):
        devices.setdefault(facts.spaces[place.path].device, []).append((place, facts.begun(phases)))
    for found in devices.values():
        space = facts.spaces[found[0][0].path]
        coming = [place for place, ours in found if not ours]
        standing = {place.path for place, ours in found if ours}
        paths = ", ".join(dict.fromkeys(place.path for place, _ in found))
        yield from _inodes(host, space, paths, sum(place.inodes for place in coming) + FEW * len(standing))
        yield from _room(host, space, paths, coming, FULL * len(standing), comfort=not site.settings.rehearsal)


def _inodes(host: Host, space: Space, paths: str, needed: int) -> Iterator[Finding]:
    """Whether the file system takes as many files as will come; one that does not count them takes any number."""
    if space.inodes is not None and space.inodes < needed:
        yield refusal(host, "disk", f"has {space.inodes} free inodes for {paths}, and {needed} are needed",
                      "delete files there, or mount a file system that takes more of them (mkfs.ext4 -N)")


def _room(host: Host, space: Space, paths: str, coming: Sequence[Place], full: float, *,
          comfort: bool) -> Iterator[Finding]:
    """Whether a file system has room for what is coming, and ``full`` GiB for what stands there already."""
    free, remedy = space.free / GIB, "free space there, or mount a larger file system"
    needed = full + sum(place.needed for place in coming)
    comfortable = full + sum(place.comfortable for place in coming)
    if free < needed:
        yield refusal(host, "disk", f"has {free:.1f} GiB free for {paths}, and {needed:.1f} are needed", remedy)
    elif comfort and free < comfortable:
        yield warning(host, "disk", f"has {free:.1f} GiB free for {paths}, and {comfortable:.1f} would be comfortable",
                      remedy)
