"""A picture of the machine, to show that removal leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, fields
from pathlib import Path

LOOKED_AT = ("/etc", "/run", "/var/lib", "/root")
"""Trees whose paths are compared; caches and the tests' own files are left out below."""
LEFT_OUT = (
    "/root/.cache", "/root/go", "/root/.npm",  # caches of builds, kept on purpose
    "/run/lock", "/run/user", "/run/udev", "/run/systemd", "/run/log",  # the machine's own coming and going
    "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd",
)


@dataclass(frozen=True)
class Process:
    """A process: its parent and its command line."""

    parent: int
    command: str


Processes = dict[tuple[int, int], Process]
"""(pid, moment of its start) -> process."""


@dataclass(frozen=True)
class Machine:
    """What one moment of the machine looks like; each field but the processes is a set of lines."""

    processes: Processes
    mounts: frozenset[str]
    cgroups: frozenset[str]
    links: frozenset[str]
    routes: frozenset[str]
    firewall: frozenset[str]
    settings: frozenset[str]
    files: frozenset[str]

    def left_by(self, later: Machine) -> dict[str, list[str]]:
        """Field -> lines that are there later and were not before, or are gone."""
        report = {}
        if orphans := _orphans(self.processes, later.processes):
            report["processes"] = orphans
        for field in fields(self):
            if field.name == "processes":
                continue
            before, after = getattr(self, field.name), getattr(later, field.name)
            difference = [f"+ {line}" for line in sorted(after - before)]
            if field.name != "files":  # those may go by themselves
                difference += [f"- {line}" for line in sorted(before - after)]
            if difference:
                report[field.name] = difference
        return report


def _orphans(before: Processes, later: Processes) -> list[str]:
    """Processes for which none answers that was there before: what others start meanwhile descends from them."""
    started = dict(later.keys())
    found = []
    for (pid, moment), process in later.items():
        here, parent = (pid, moment), process.parent
        while here not in before and parent > 1:
            here = (parent, started.get(parent, 0))
            parent = later[here].parent if here in later else 0
        if here not in before:
            found.append(f"+ {process.command}")
    return sorted(found)


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(line for line in done.stdout.splitlines() if line and not line.startswith("#"))


def _processes() -> Processes:
    """All processes; kernel threads have no command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if command:
            found[int(entry.name), int(status[19])] = Process(int(status[1]), command)
    return found


def _files() -> frozenset[str]:
    found = set()
    for top in LOOKED_AT:
        for folder, folders, names in os.walk(top):
            folders[:] = [f for f in folders if not f"{folder}/{f}".startswith(LEFT_OUT) and
                          not os.path.ismount(f"{folder}/{f}")]
            found |= {f"{folder}/{name}" for name in names if not f"{folder}/{name}".startswith(LEFT_OUT)}
    return frozenset(found)


SETTINGS = ("net.ipv4.ip_forward", "fs.inotify.max_user_instances", "kernel.panic", "kernel.panic_on_oops",
            "vm.overcommit_memory", "kernel.timer_migration", "vm.dirty_bytes")


def take() -> Machine:
    """Look at the machine now."""
    cgroups = frozenset(str(p) for p in Path("/sys/fs/cgroup").glob("**/casa*") if p.is_dir())
    mounts = frozenset(" ".join(line.split()[3:5]) for line in Path("/proc/self/mountinfo").read_text().splitlines())
    links = _lines("ip", "-brief", "link")
    return Machine(
        processes=_processes(), mounts=mounts, cgroups=cgroups,
        links=frozenset(line.split()[0] for line in links), routes=_lines("ip", "route", "show", "table", "all"),
        # tables and chains without rules stay where iptables has looked at them once
        firewall=frozenset(line for line in _lines("iptables-save") if line.startswith("-A")),
        settings=_lines("sysctl", "--ignore", *SETTINGS), files=_files())
