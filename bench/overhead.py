"""Measures what the engine costs over plain ansible-playbook, as a ratio within one run.

The same playbook (tasks that do nothing, hosts that are all this machine) is run by ansible-playbook alone and by the
engine with journal and live screen, in turn; the fastest run of each counts. Tasks that do nothing are the worst case:
what the engine adds is per task and per run. Phase marks and the preflight are not part of it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rich.console import Console

from casa_install.engine import playbook
from casa_install.engine.journal import Journal
from casa_install.engine.playbook import Listener, Play, Target
from casa_install.engine.progress import Progress

ROOT = Path(__file__).resolve().parent.parent
HOSTS, TASKS, ROUNDS = 3, 40, 3


def prepare(folder: Path) -> tuple[Target, Path, Path]:
    """Inventory, playbook and an encrypted file of extra variables: target, playbook, variables."""
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (folder / "hosts.ini").write_text("".join(f"host-{n} {here}\n" for n in range(HOSTS)))
    (folder / "key").write_text("a key\n")
    (folder / "variables").write_text(json.dumps({"some": "variables"}))
    subprocess.run(["ansible-vault", "encrypt", f"--vault-id=casa@{folder / 'key'}", folder / "variables"], check=True,
                   capture_output=True)
    tasks = [{"name": f"Task {number}", "ansible.builtin.command": "true"} for number in range(TASKS)]
    (folder / "phase.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    return (Target(folder / "hosts.ini", folder / "key", folder / "sockets"), folder / "phase.yml",
            folder / "variables")


def plain(target: Target, book: Path, variables: Path) -> float:
    """Seconds of ansible-playbook alone, its output in a file."""
    command = ["ansible-playbook", "-i", target.inventory, "--vault-id", f"casa@{target.vault_key}", "-e",
               f"@{variables}", book]
    began = time.monotonic()
    with (book.parent / "plain.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, cwd=ROOT,
                       env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")})
    return time.monotonic() - began


def engine(target: Target, book: Path, variables: Path, number: int) -> float:
    """Seconds of the same by the engine."""
    began = time.monotonic()
    folder = book.parent / f"engine-{number}"
    journal = Journal(folder / "journal.sqlite")
    journal.begin_run("bench")
    journal.begin_phase("phase")
    progress = Progress(Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
    progress.plan("phase", "The phase")

    def step(title: str) -> None:
        progress.step("phase", title)
        journal.step("phase", title)

    with progress:
        progress.start("phase")
        outcome = playbook.run(target, [Play(book)], variables, folder / "work", folder / "phase.log", Listener(
            task=step, hosts=lambda done, total: progress.hosts("phase", done, total),
            changed=lambda host, task: journal.change("phase", host, task)), stop=folder / "stop")
    assert outcome.ok and outcome.changed == HOSTS * TASKS, outcome
    journal.close()
    return time.monotonic() - began


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="casa-bench-") as name:
        site = prepare(Path(name))
        plain(*site)  # warms the machine's caches
        both = [(plain(*site), engine(*site, number)) for number in range(ROUNDS)]
    alone, ours = (min(times) for times in zip(*both, strict=True))
    print(f"{TASKS} tasks on {HOSTS} hosts, the fastest of {ROUNDS}: ansible-playbook {alone:.2f} s, "
          f"engine {ours:.2f} s")
    print(f"engine : ansible-playbook = {ours / alone:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
