"""What tests on hosts of a scenario's own do: run a role once more, kill a daemon, and wait."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import testinfra

FOLDER = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def at(name: str) -> Any:
    """A host of the scenario."""
    return testinfra.get_host(f"ansible://{name}", ansible_inventory=os.environ["MOLECULE_INVENTORY_FILE"])


def converge(host: str, role: str, tasks: str = "main", *, known: bool = True, **variables: Any) -> None:
    """Run a role, or a part of it, on a host.

    :param known: with what the scenario's ``variables.json`` says; ``variables`` come first.
    """
    files = ["-e", f"@{FOLDER / 'variables.json'}"] if known else []
    done = subprocess.run(["ansible", host, "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-m", "include_role",
                           "-a", f"name={role} tasks_from={tasks}", *files, "-e", json.dumps(variables)],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def eventually(what: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether it becomes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def killed(host: Any, *units: str) -> None:
    """Kill the daemons of units, and wait until systemd has started each anew."""
    main = f"systemctl show --property=MainPID --value {' '.join(units)}"
    before = host.check_output(main).split()
    assert len(before) == len(units)
    host.check_output(f"kill -KILL {' '.join(before)}")
    assert eventually(lambda: not {*host.check_output(main).split()} & {*before, "0"}), units


def wait(host: Any, command: str, expected: str, seconds: float = 90) -> None:
    """Wait until a command's output is this."""
    said: list[str] = []

    def as_expected() -> bool:
        said[:] = [host.run(command).stdout.strip()]
        return said == [expected]

    assert eventually(as_expected, seconds), f"{command}: {said[0]!r} instead of {expected!r}"
