"""The real program with phases of its own, whose hosts are all this machine.

``python -m tests.engine_site FOLDER [argument …]`` runs casa-install on the inventory in FOLDER; :func:`prepare` makes
it. Phase marks would lie in /var/lib: run it in a mount namespace (:func:`command`), which needs root.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from pathlib import Path

import yaml

from casa_install import cli, phases, steps, verify
from casa_install.engine import removal
from casa_install.engine.converge import Convergence
from casa_install.engine.interrupt import Reporter
from casa_install.facility import Facility
from casa_install.phases import Phase
from casa_install.supply.runner import Runner
from casa_install.verify.context import Check, Context
from tests.unit import site_inventories

TABLE = (
    Phase("first", "The first is true", ("dns",), seconds=2),
    Phase("second", "The second is true", ("condor_execute",), needs=("first",), seconds=4),
    Phase("build", "Things are built", needs=("first",), seconds=6),
    Phase("third", "The third is true", ("dns",), needs=("second", "build"), seconds=2),
)
LONG = "3"
"""Seconds that a long task or build takes, unless the file ``long`` says otherwise."""
LONG_TASKS = ("second", "remove")
"""Playbooks whose first task takes long."""


def prepare(folder: Path) -> Path:
    """Make the inventory and the playbooks of the phases."""
    here = f"ansible_connection=local ansible_become=false ansible_python_interpreter={sys.executable}"
    inventory = site_inventories.write(folder / "site", f"{site_inventories.GOOD}" + "\n".join(here.split()) + "\n")
    (folder / "playbooks").mkdir()
    (folder / "long").write_text(LONG)
    (folder / "playbooks" / "remove.yml").write_text(yaml.safe_dump([{
        "name": "The facility is gone", "hosts": "dns", "gather_facts": False,
        "tasks": [_task("remove", number) for number in (1, 2)]}]))
    for phase in TABLE:
        if phase.groups:
            (folder / "playbooks" / f"{phase.name}.yml").write_text(yaml.safe_dump([{
                "name": phase.title, "hosts": ":".join(phase.groups), "gather_facts": False, "any_errors_fatal": True,
                "tasks": [_task(phase.name, number) for number in (1, 2)]}]))
    return inventory


def _task(phase: str, number: int) -> dict[str, object]:
    """Makes one file when it begins and another when it ends.

    A file ``fail-PHASE`` beside them lets it fail on the host that is named in it.
    """
    seconds = "$(cat {{ inventory_dir }}/../long)" if phase in LONG_TASKS and number == 1 else "0"
    there = f"{{{{ inventory_dir }}}}/../{phase}-{number}-{{{{ inventory_hostname }}}}"
    return {"name": f"Task {number} of {phase}", "ansible.builtin.shell": {"cmd":
            f"touch {there}.began && sleep {seconds} && touch {there}.done && "
            f"! grep -qx {{{{ inventory_hostname }}}} {{{{ inventory_dir }}}}/../fail-{phase}"}}


def _build(folder: Path, report: Reporter) -> int:
    """Two builds, each by a program that has another one for a child."""
    with (folder / "build.log").open("a") as log:
        for number in (1, 2):
            report.pause()
            step = f"thing {number} is built"
            report(step)
            run = Runner(log, {}, functools.partial(report, step))
            thing = f"{folder}/build-{number}"
            # it still runs when the long task beside it does
            beside = f"until [ -e {folder}/second-1-exec-1.began ]; do sleep 0.1; done"
            run(["sh", "-c", f"touch {thing}.began; {beside}; sleep $(cat {folder}/long); touch {thing}.done"])
    return 2


async def _prove(folder: Path, context: Context) -> str:
    """A check that takes long on a host."""
    there = f"{folder}/verify"
    return await context.on("dns-1", "sh", "-c", f"touch {there}.began; sleep $(cat {folder}/long); touch {there}.done")


def command(folder: Path, *arguments: str) -> list[str]:
    """The command line that runs it; its process is the program's own."""
    marks = folder / "marks"
    marks.mkdir(exist_ok=True)
    script = 'mount --bind "$1" /var/lib && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(marks), sys.executable, "-m", "tests.engine_site",
            str(folder), *arguments]


def clear(folder: Path) -> None:
    """Take away what earlier runs have made."""
    for path in (*folder.glob("*.began"), *folder.glob("*.done"), *folder.glob("fail-*")):
        path.unlink()


def processes(folder: Path) -> str:
    """Processes that have the folder in their command line or environment, one a line."""
    found = []
    for process in (path for path in Path("/proc").iterdir() if path.name.isdecimal()):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if str(folder).encode() in words + (process / "environ").read_bytes():
                found.append(f"{process.name} {words.replace(bytes(1), b' ').decode()}")
    return "\n".join(found)


def _no_preflight(self: Convergence) -> None:
    """This machine is no host of a site: it is not asked, and its state is not kept."""
    self.progress.start("preflight")
    self.marks = {host.name: {"begun before": ""} for host in self.facility.site.hosts}
    self.kinds = {host.name: "" for host in self.facility.site.hosts}
    self.progress.end("preflight", "unchanged")


def main() -> int:
    """Put the table in the place of the facility's and run the program."""
    folder = Path(sys.argv[1])
    phases.PHASES = TABLE
    phases.PLAYBOOKS = folder / "playbooks"
    removal.PLAYBOOKS = folder / "playbooks"  # type: ignore[attr-defined]  # it has the name from phases
    steps.STEPS.clear()
    steps.STEPS["build"] = lambda _facility, report: _build(folder, report)
    check = Check("long", "A check takes long", functools.partial(_prove, folder))
    verify.stages = lambda _: ((check,),)  # type: ignore[assignment]
    Convergence._preflight = _no_preflight  # type: ignore[method-assign]
    Facility.role_variables = lambda self, role: {}  # type: ignore[method-assign]
    return cli.main([*sys.argv[2:], "--inventory", str(folder / "site" / "site.ini")])


if __name__ == "__main__":
    sys.exit(main())
