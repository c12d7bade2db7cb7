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
class Machine:
    """What one moment of the machine looks like; each field is a set of lines."""

    processes: frozenset[str]
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
        for field in fields(self):
            before, after = getattr(self, field.name), getattr(later, field.name)
            difference = [f"+ {line}" for line in sorted(after - before)]
            if field.name not in ("processes", "files"):  # those may end by themselves
                difference += [f"- {line}" for line in sorted(before - after)]
            if difference:
                report[field.name] = difference
        return report


def _lines(*command: str) -> frozenset[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return frozenset(line for line in done.stdout.splitlines() if line and not line.startswith("#"))


def _processes() -> frozenset[str]:
    """Command lines of all processes but kernel threads and our own descendants."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if command:
            commands[int(entry.name)] = command
        parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])

    def ours(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return frozenset(command for pid, command in commands.items() if not ours(pid))


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
