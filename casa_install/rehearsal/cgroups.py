"""Control groups of virtual hosts, on machines with cgroup v1 (hybrid) and with the unified hierarchy alone."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from casa_install.rehearsal.commands import RehearsalError

MOUNT = Path("/sys/fs/cgroup")


def hierarchies() -> list[Path]:
    """Top of every cgroup hierarchy of the machine; a single one where only v2 is used."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] in ("cgroup", "cgroup2"):
            found.append(Path(before.split()[4]))
    if not found:
        raise RehearsalError("no control groups are mounted on this machine")
    return sorted(set(found))


def unified_only() -> bool:
    """Whether the machine uses cgroup v2 and nothing else."""
    return hierarchies() == [MOUNT]


def run_by_systemd() -> bool:
    """Whether systemd owns the unified hierarchy, so that groups have to be asked from it."""
    return unified_only() and Path("/run/systemd/system").is_dir()


def launcher(name: str, memory: int | None) -> list[str]:
    """Words to put before a command so that it runs in the group ``name`` of every hierarchy.

    ``memory`` limits it, in MiB. The process keeps its id and its parent.
    """
    if run_by_systemd():
        limit = ["-p", f"MemoryMax={memory}M"] if memory else []
        scope = ["systemd-run", "--scope", "--quiet", "--collect", f"--unit={name}", "--slice=system.slice"]
        return [*scope, "-p", "Delegate=yes", "-p", "TasksMax=infinity", *limit, "--"]
    joins = [str(folder / "cgroup.procs") for folder in _make(name, memory)]
    enter = 'while [ "$1" != -- ]; do echo $$ > "$1" || exit 70; shift; done; shift; exec "$@"'
    return ["sh", "-c", enter, "enter-cgroups", *joins, "--"]


def _make(name: str, memory: int | None) -> list[Path]:
    folders = [top / name for top in hierarchies()]
    for folder in folders:
        if folder.parent == MOUNT:
            # nobody else hands controllers to the groups of a machine without systemd; they stay handed out
            wanted = (folder.parent / "cgroup.controllers").read_text().split()
            for controller in wanted:
                with contextlib.suppress(OSError):  # one that cannot be enabled here is one that the host does without
                    (folder.parent / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            # a fresh v1 cpuset is empty, and nothing can run in it
            if (folder / file).exists() and not (folder / "cgroup.controllers").exists():
                (folder / file).write_text((folder.parent / file).read_text())
    limit_memory(name, memory)
    return folders


def limit_memory(name: str, memory: int | None) -> None:
    """The group uses at most so many MiB of memory, or as much as there is."""
    for folder in folders_of(name):
        for file, unlimited in (("memory.limit_in_bytes", "-1"), ("memory.max", "max")):
            if (folder / file).exists():
                (folder / file).write_text(str(memory * 2**20) if memory else unlimited)


def folders_of(name: str) -> list[Path]:
    """Existing folders of a group, one per hierarchy."""
    places = [top / name for top in hierarchies()] + [MOUNT / "system.slice" / f"{name}.scope"]
    return [folder for folder in places if folder.is_dir()]


def processes(name: str) -> list[int]:
    """Process ids in a group and below, in any hierarchy, seen from the machine."""
    found: set[int] = set()
    for folder in folders_of(name):
        for parent, _, files in os.walk(folder):
            if "cgroup.procs" in files:
                with contextlib.suppress(OSError):
                    found.update(int(line) for line in (Path(parent) / "cgroup.procs").read_text().split())
    return sorted(found - {0})


def kill(name: str, seconds: float = 30) -> None:
    """No process of the group is left; none gets a chance to say goodbye.

    :raises RehearsalError: some outlive it for ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while left := processes(name):
        for folder in folders_of(name):
            if (folder / "cgroup.kill").exists():
                (folder / "cgroup.kill").write_text("1")
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise RehearsalError(f"processes {left} of {name} do not end")
        time.sleep(0.1)


def remove(name: str, seconds: float = 15) -> None:
    """The group's folders are gone from every hierarchy. Its processes must have ended."""
    deadline = time.monotonic() + seconds
    while True:
        for folder in folders_of(name):
            for parent, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    Path(parent).rmdir()
        if not (left := folders_of(name)):
            return
        if time.monotonic() > deadline:
            raise RehearsalError(f"control groups cannot be removed: {', '.join(map(str, left))}")
        time.sleep(0.1)
