"""Measures what the engine costs over plain ansible-playbook with the same playbooks; fails above what is promised.

``overhead.py [PAIRS]`` runs the playbooks of three phases on three hosts that are all this machine, by ansible-playbook
and by the engine, in pairs whose order alternates; the median of the pairs' ratios counts. The tasks are as many as in
the facility's roles and of their kinds, and their work is real: files from templates, and a tree of Python that is
packed, unpacked, compiled and looked through. On two idle cores a phase takes about as long as the facility's do on
average (41 seconds in the phase table): what is added is a number of seconds for each phase and each task, so that its
share depends on how long they take.

In the engine's time is all that its program does from its start to its end: opening the inventory, fingerprints,
encrypted variables, ansible-runner and its events, the playbooks that mark a phase as begun and as complete, the
journal, the live screen, and at the end the playbook that compares hosts. What it does once a run weighs more here than
in the facility, which has twelve such phases.

ansible-playbook is called once for each playbook, as the engine calls it; one call for all would start less often, and
be about a second a phase faster. Nothing runs side by side, by which the engine would win.

Not in it: what plain ansible-playbook does not do at all, the preflight and the keeping of hosts' states (so that the
comparison finds none and ends at once); and ssh, which is the same for both.

Phase marks lie in /var/lib: ``bench/overhead`` calls it where that is a file system of its own.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible
import yaml
from rich.console import Console

from casa_install.engine.converge import SIDE_BY_SIDE, Convergence
from casa_install.engine.journal import Journal
from casa_install.engine.progress import Progress
from casa_install.facility import Facility
from casa_install.phases import Phase
from tests.unit import site_inventories

ROOT = Path(__file__).resolve().parent.parent
PROMISED = 1.05
PAIRS = 5
GROUPS = ("kube_control", "kube_workers")
SOURCES = Path(ansible.__file__).parent.parent / "ansible_collections" / "community"
"""The tree that is worked on: of the program's own environment, so the same everywhere."""


@dataclass(frozen=True)
class Work(Phase):
    """A phase whose playbook is none of the facility's."""

    folder: Path = Path()

    @property
    def playbook(self) -> Path:
        """Its playbook."""
        return self.folder / f"{self.name}.yml"


@dataclass
class Asked:
    """What hosts say that were begun before, and hold no complete phase."""

    marks: dict[str, dict[str, str]]
    kinds: dict[str, str]
    refusals: list[object] = field(default_factory=list)
    warnings: list[object] = field(default_factory=list)


def work(folder: Path) -> tuple[Work, ...]:
    """The phases, each of which waits for the one before it."""
    names = ("first", "second", "third")
    return tuple(Work(name, f"The {name} work is done", GROUPS, names[:number][-1:], folder=folder)
                 for number, name in enumerate(names))


def tasks(phase: Work) -> list[dict[str, Any]]:
    """What a phase does on each host, in a folder of its own."""
    there = f"{phase.folder}/hosts/{{{{ inventory_hostname }}}}/{phase.name}"
    done: list[dict[str, Any]] = [
        {"ansible.builtin.file": {"path": f"{there}/tree", "state": "directory", "mode": "0755"}}]
    for number in range(5):
        done += [{"ansible.builtin.template": {"src": f"{phase.folder}/template", "mode": "0644",
                                               "dest": f"{there}/settings-{number}"}},
                 {"ansible.builtin.copy": {"content": f"{number}\n" * 1000, "dest": f"{there}/file-{number}",
                                           "mode": "0600"}},
                 {"ansible.builtin.command": {"argv": ["sha256sum", f"{there}/file-{number}"]}, "changed_when": False}]
    done += [{"ansible.builtin.shell": {"cmd": command}} for command in (
        f"tar -C {SOURCES} --exclude=__pycache__ -cJf {there}/packed .",
        f"tar -C {there}/tree -xJf {there}/packed",
        f"{sys.executable} -m compileall -q -o 0 -o 1 -o 2 {there}/tree")]
    done.append({"ansible.builtin.shell": {"cmd": f"find {there}/tree -type f -exec sha256sum {{}} + | sha256sum"},
                 "changed_when": False})
    return [{"name": f"Task {number} of {phase.name}"} | task for number, task in enumerate(done, 1)]


def prepare(folder: Path) -> Path:
    """Make the inventory and the playbooks; returns the inventory."""
    here = f"ansible_connection=local\nansible_become=false\nansible_python_interpreter={sys.executable}\n"
    (folder / "template").write_text("{% for n in range(200) %}{{ inventory_hostname }} {{ n }}\n{% endfor %}")
    for phase in work(folder):
        phase.playbook.write_text(yaml.safe_dump([{"name": phase.title, "hosts": ":".join(GROUPS),
                                                   "gather_facts": False, "any_errors_fatal": True,
                                                   "tasks": tasks(phase)}]))
    return site_inventories.write(folder / "site", site_inventories.GOOD + here)


def plain(folder: Path, inventory: Path) -> None:
    """Run the playbooks by ansible-playbook, its output in a file."""
    for phase in work(folder):
        with (folder / f"{phase.name}.log").open("w") as log:
            subprocess.run(["ansible-playbook", "-i", inventory, "--vault-id", f"casa@{folder / 'key'}", "-e",
                            f"@{folder / 'variables'}", phase.playbook], check=True, stdout=log, cwd=ROOT,
                           env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")})


def engine(folder: Path, inventory: Path) -> None:
    """Run them by the engine, as the program does."""
    progress = Progress(Console(file=io.StringIO(), force_terminal=True, width=80, height=24), SIDE_BY_SIDE)
    with closing(Facility.open(inventory)) as facility, \
            closing(Journal(facility.site.state / "journal.sqlite")) as journal:
        names = [host.name for host in facility.site.hosts]
        asked = Asked({name: {"begun before": ""} for name in names}, dict.fromkeys(names, ""))
        journal.begin_run("apply")
        verdict = Convergence(facility, work(folder), {}, lambda *_: asked, journal, progress).run()
        journal.end_run(verdict.word)
    changing = [phase for phase in work(folder) for task in tasks(phase) if "changed_when" not in task]
    assert (verdict.code, verdict.changed) == (0, sum(len(phase.hosts(facility.site)) for phase in changing)), verdict


def seconds(folder: Path, inventory: Path, how: str) -> float:
    """What it takes, from nothing, one way or the other."""
    shutil.rmtree(folder / "hosts", ignore_errors=True)
    os.sync()  # what the run before has written is not waited for in this one
    began = time.monotonic()
    if how == "engine":
        subprocess.run([sys.executable, __file__, "engine", folder, inventory], check=True)
    else:
        plain(folder, inventory)
    return time.monotonic() - began


def compare(folder: Path, pairs: int) -> float:
    """The median of the pairs' ratios; each pair is printed."""
    inventory = prepare(folder)
    with closing(Facility.open(inventory)) as facility:
        facility.write_variables(set(), folder / "variables")
        shutil.copy(facility.credentials.vault.key, folder / "key")
    ratios = []
    for number in range(pairs):
        took = {how: seconds(folder, inventory, how) for how in (("plain", "engine"), ("engine", "plain"))[number % 2]}
        ratios.append(took["engine"] / took["plain"])
        print(f"ansible-playbook {took['plain']:6.2f} s, engine {took['engine']:6.2f} s: {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


def main(pairs: int) -> int:
    """Measure, print and judge."""
    with tempfile.TemporaryDirectory(prefix="casa-bench-") as name:
        os.environ |= {"XDG_CONFIG_HOME": f"{name}/config", "CASA_CACHE": f"{name}/cache", "TERM": "xterm-256color"}
        os.environ.pop("NO_COLOR", None)
        ratio = compare(Path(name), pairs)
    print(f"engine : ansible-playbook = {ratio:.3f}, the median of {pairs}")
    if ratio > PROMISED:
        print(f"The engine costs {ratio - 1:.1%} over plain ansible-playbook; {PROMISED - 1:.0%} is promised.",
              file=sys.stderr)
    return int(ratio > PROMISED)


if __name__ == "__main__":
    if sys.argv[1:2] == ["engine"]:
        engine(*map(Path, sys.argv[2:]))
    else:
        sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else PAIRS))
