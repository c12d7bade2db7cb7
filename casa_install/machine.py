"""What casa-install needs on the machine it runs on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

RUN_MARK = "CASA_INSTALL_RUN"
"""Name of the variable of the environment by which the processes of a run are known."""
_LOCK = Path("/run/lock/casa-install-packages")

# Some programs come from elsewhere than Debian's package on many machines; having the program is enough then.
_PROGRAM = {
    "buildah": "buildah",
    "docker-registry": "docker-registry",
    "gcc": "gcc",
    "mmdebstrap": "mmdebstrap",
    "npm": "npm",
    "skopeo": "skopeo",
}


class MachineError(RuntimeError):
    """This machine lacks something; the message says what to do."""


def missing_packages(names: Sequence[str]) -> list[str]:
    """Return the Debian packages of these that the machine lacks."""
    rest = [n for n in names if not (n in _PROGRAM and shutil.which(_PROGRAM[n]))]
    if not rest or not shutil.which("dpkg-query"):
        return rest
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *rest], capture_output=True,
                           text=True, check=False)
    installed = {line.split()[0] for line in shown.stdout.splitlines() if line.endswith(" installed")}
    return [n for n in rest if n not in installed]


def locks_soon(descriptor: int, patience: float = 3) -> bool:
    """Take the lock of an open file if it is free now or within some seconds.

    The lock of a killed process may outlive it for a moment: in a child that has not come to its own program yet.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        else:
            return True


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One run at a time: apt waits for others' packages, but not for their lists."""
    with _LOCK.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_packages(names: Sequence[str], say: Callable[[str], None] = print) -> list[str]:
    """Install the Debian packages of these that the machine lacks and return them.

    :param say: receives one line that names what is installed.
    :raises MachineError: without apt, without root, or when apt fails (with its last lines).
    """
    missing = missing_packages(names)
    return _install(missing, say) if missing else []


def _install(missing: list[str], say: Callable[[str], None]) -> list[str]:
    wanted = " ".join(missing)
    if not shutil.which("apt-get"):
        raise MachineError(f"this machine lacks {wanted}: install them with its package manager and run again")
    if os.geteuid() != 0:
        raise MachineError(f"this machine lacks {wanted}: run: sudo apt-get install --no-install-recommends {wanted}")
    say(f"installing on this machine: {wanted}")
    # without the run's mark: who stops a run must not be left with packages that are half unpacked
    environment = {name: value for name, value in os.environ.items() if name != RUN_MARK}
    environment["DEBIAN_FRONTEND"] = "noninteractive"
    options = ["-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Install-Recommends=false"]
    with _alone():
        for command in (["update"], ["install", *missing]):
            # a group of its own: Ctrl-C on the terminal is the program's to hear
            result = subprocess.run(["apt-get", *options, *command], env=environment, check=False, text=True,
                                    process_group=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT)
    if result.returncode or missing_packages(missing):
        tail = "\n".join(result.stdout.splitlines()[-8:])
        raise MachineError(f"apt-get could not install {wanted} on this machine:\n{tail}")
    return missing
