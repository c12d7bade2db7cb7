"""Programs of the machine: run them, and make sure that they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from casa_install.machine import MachineError, ensure_packages

PACKAGES: dict[str, str] = {
    "conntrack": "conntrack",
    "ip": "iproute2",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "mount": "mount",
    "setpriv": "util-linux",
    "ssh-keygen": "openssh-client",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
"""Program that a rehearsal needs on the machine -> Debian package that has it."""


class RehearsalError(Exception):
    """A rehearsal cannot go on; the message says what is wrong and what to do."""


def run(
    *argv: str | Path,
    check: bool = True,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program and return its standard output.

    ``env`` is added to the environment. With ``check``, a failure raises
    :class:`RehearsalError` with the command and the end of what it said.
    """
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            check=False,
            process_group=0,  # Ctrl-C on the terminal is the program's to hear
        )
    except FileNotFoundError:
        raise RehearsalError(f"{command[0]}: no such program on this machine") from None
    if check and done.returncode != 0:
        said = "\n".join((done.stderr + done.stdout).strip().splitlines()[-15:])
        raise RehearsalError(f"`{' '.join(command[:6])}` failed with status {done.returncode}:\n{said}")
    return done.stdout


def bound_to_us(argv: Sequence[str]) -> list[str]:
    """The command, changed so that it and all its children die with this process, mounts included."""
    return [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"),
        *argv,
    ]


def ensure_root() -> None:
    """Raise :class:`RehearsalError` unless this process may make virtual hosts."""
    if os.geteuid() != 0:
        raise RehearsalError("virtual hosts need root on this machine: run the command with sudo")


def ensure_programs() -> None:
    """Every program of :data:`PACKAGES` is installed, by apt if need be."""
    missing = [program for program in PACKAGES if shutil.which(program) is None]
    try:
        ensure_packages(sorted({PACKAGES[program] for program in missing}), lambda _line: None)
    except MachineError as error:
        raise RehearsalError(str(error)) from None
    still = [program for program in missing if shutil.which(program) is None]
    if still:
        raise RehearsalError(f"apt installed what has {', '.join(still)}, but they are still not on PATH")
