"""One rehearsal site for all tests of this folder, made and removed by the program itself."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casa_install.facility import Facility
from casa_install.rehearsal.hosts import Lab
from casa_install.verify.context import Context
from tests import machine, remains
from tests.lab.test_lab import ssh

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventory" / "rehearsal" / "site.ini"
STATE = INVENTORY.parent / ".casa"

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*words: str) -> list[str]:
    """The program's command line for the rehearsal."""
    return [str(ROOT / "casa-install"), *words, "--inventory", str(INVENTORY)]


@pytest.fixture(scope="session")
def before() -> machine.Machine:
    """The machine without a rehearsal; remains of a crashed run are cleared first."""
    subprocess.run(command("remove", "--yes"), check=True, stdin=subprocess.DEVNULL)
    return machine.take()


@pytest.fixture(scope="session")
def casa(before: machine.Machine) -> Iterator[Program]:
    """Runs the program to its end; the output is shown and returned."""

    def run(*words: str, input_text: str | None = None) -> subprocess.CompletedProcess[str]:
        print(f"\n$ casa-install {' '.join(words)}", flush=True)
        done = subprocess.run(command(*words), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              input=input_text, check=False)
        print(done.stdout, flush=True)
        return done

    yield run
    # a failed test leaves the site to be looked at, unless nobody can
    if os.environ.get("CI"):
        subprocess.run(command("remove", "--yes"), check=False, stdin=subprocess.DEVNULL)


def on_host(host: str, *argv: str) -> str:
    """Standard output of a command that root runs on a host of the rehearsal."""
    with closing(Facility.open(INVENTORY)) as facility, closing(Context(facility)) as context:
        return asyncio.run(context.on(host, *argv))


def changes() -> list[tuple[str, str, str]]:
    """Phase, host and task of all that the newest run has changed so far."""
    try:
        with closing(sqlite3.connect(f"file:{STATE / 'journal.sqlite'}?mode=ro", uri=True)) as journal:
            return journal.execute(
                "select phase, host, task from change where run = (select max(id) from run)").fetchall()
    except sqlite3.OperationalError:
        return []


_RUNNING = ("systemctl show --type=service --state=running"
            " --property=Id,MainPID,ExecMainStartTimestampMonotonic,BusName,WantedBy '*'")
_PODS = "kubectl --kubeconfig=/etc/kubernetes/admin.conf get pods --all-namespaces --output=json"


def started(lab: Lab) -> dict[str, str]:
    """Every daemon and every container of the site -> the start that it runs from."""
    found = {}
    for host in lab.hosts:
        for block in ssh(lab, host, _RUNNING).split("\n\n"):
            facts = dict(line.split("=", 1) for line in block.splitlines())
            on_request = facts.get("BusName") and not facts.get("WantedBy")  # by the bus; ends when it is idle
            if not on_request and not facts["Id"].startswith("user@"):  # of our own log-in
                found[f"{host} {facts['Id']}"] = f"{facts['MainPID']} at {facts['ExecMainStartTimestampMonotonic']}"
    for pod in json.loads(ssh(lab, "kube-1", _PODS))["items"]:
        for container in pod["status"].get("containerStatuses", ()):
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} {container['name']}"
            found[name] = f"{container['containerID']} of {container['restartCount'] + 1} starts"
    return found


KEPT = (
    "etc/.updated", "etc/hosts", "etc/ssh/", "etc/dhcpcd.enter-hook", "etc/systemd/network/",  # the virtual host's own
    "etc/perl/", "var/lib/apt/", "var/lib/dpkg/", "var/lib/dbus/", "var/lib/logrotate/", "var/lib/systemd/",  # Debian's
    "var/lib/containerd/", "var/lib/etcd/", "var/lib/kubelet/", "var/lib/localpv/", "var/lib/docker/",  # mount points
)


def left_on(lab: Lab, host: str) -> list[str]:
    """What roles left on a virtual host: files beyond its base in the trees where they put theirs, and software."""
    upper, lower = remains.trees(lab.name, host)
    own = (path.relative_to(upper) for top in ("etc", "usr/local", "opt", "srv", "var/lib")
           for path in (upper / top).rglob("*") if path.is_symlink() or path.is_file())
    files = (str(path) for path in own if not str(path).startswith(KEPT) and not os.path.lexists(lower / path))
    return sorted(files) + remains.of_software(lab.name, host)


def killed_in(phase: str, after: int, limit: float = 1500) -> None:
    """Start an apply and SIGKILL it once ``after`` tasks of the phase have changed something.

    :param limit: seconds after which the phase must have got there.
    """
    running = subprocess.Popen(command("apply", "--no-verify"), stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    began = time.monotonic()
    try:
        while sum(changed == phase for changed, _, _ in changes()) < after:
            assert running.poll() is None, f"the run ended before phase {phase} had {after} changes"
            assert time.monotonic() - began < limit, f"phase {phase} did not get to {after} changes"
            time.sleep(0.1)
    finally:
        running.kill()
        running.wait()
