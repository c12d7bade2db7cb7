"""One rehearsal site for all tests of this folder, made and removed by the program itself."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from casa_install.credentials.expiry import secret_values
from casa_install.engine.history import read_history
from casa_install.facility import Facility
from casa_install.rehearsal.hosts import Lab
from casa_install.verify.context import Context
from tests import machine, remains, watch
from tests.lab.test_lab import ssh

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventory" / "rehearsal" / "site.ini"
STATE = INVENTORY.parent / ".casa"

KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")

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


def runs() -> int:
    """How many runs the journal knows."""
    return len(read_history(STATE / "journal.sqlite").runs)


_RUNNING = ("systemctl show --type=service --state=running"
            " --property=Id,MainPID,ExecMainStartTimestampMonotonic,BusName,WantedBy '*'")
_PODS = f"{' '.join(KUBECTL)} get pods --all-namespaces --output=json"


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


COMPARE = ROOT / "playbooks" / "files" / "host-state"


def new_on(host: str) -> list[str]:
    """In what a host differs from the state that was kept before the first phase began there, a line each."""
    with closing(Facility.open(INVENTORY)) as facility:
        said = json.loads(ssh(facility.lab, host, "python3 - compare /var/lib/casa-install/state/before.json.gz <<'END'"
                              f"\n{COMPARE.read_text()}\nEND"))
    assert said["known"]
    return [str(line) for line in said["differences"]]


def killed_in(phase: str, after: int, limit: float = 1500) -> None:
    """Start an apply and SIGKILL it once ``after`` tasks of the phase have changed something; no secret is shown.

    :param limit: seconds after which the phase must have got there.
    """
    with watch.CommandLines() as watched:
        _killed(command("apply", "--no-verify"), lambda: sum(of == phase for of, _, _ in changes()) >= after, limit)
    with closing(Facility.open(INVENTORY)) as facility:
        assert watch.found_in(watched.seen, secret_values(facility.site, facility.credentials)) == set()


def killed_at_removal(host: str, after: int) -> None:
    """Start the roles' removal and SIGKILL it once ``after`` of its tasks have changed something on the host."""
    before = runs()
    _killed([sys.executable, "-m", "tests.rehearsal.removal"],
            lambda: runs() > before and sum(on == host for _, on, _ in changes()) >= after, 300)


def _killed(words: list[str], is_time: Callable[[], bool], limit: float) -> None:
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=ROOT)
    began = time.monotonic()
    try:
        while not is_time():
            assert running.poll() is None, "the run ended before its time"
            assert time.monotonic() - began < limit, "the run did not get there"
            time.sleep(0.1)
    finally:
        running.kill()
        running.wait()
