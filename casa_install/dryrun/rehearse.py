"""Asks the hosts what an apply would do: a preflight, then each phase that is not complete in check mode."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from casa_install.dryrun.foresight import Foresight, read
from casa_install.engine import playbook, scheduler
from casa_install.engine.converge import PREFLIGHT_SECONDS, SIDE_BY_SIDE, Answers, Look, chosen, marked
from casa_install.engine.interrupt import Interrupt
from casa_install.engine.playbook import Listener, Options, Play
from casa_install.engine.progress import Progress
from casa_install.facility import Facility
from casa_install.phases import Phase


@dataclass
class Rehearsed:
    """What the hosts answered."""

    refusals: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    """Virtual hosts that do not run: nobody can be asked."""
    complete: set[str] = field(default_factory=set)
    """Phases that every host's mark says are complete."""
    foreseen: dict[str, Foresight] = field(default_factory=dict)
    """What each phase that ran in check mode would do."""
    obstacles: dict[str, str] = field(default_factory=dict)
    """Phases that could not be rehearsed -> why."""
    folder: Path = Path()
    """Its logs."""
    interrupted: bool = False


class DryRun:
    """One look at what an apply would do.

    :param skip: phases whose marks say that they are complete are not run, as in an apply.
    :param options: what the admin gave for ansible-playbook.
    :param hosts: names of the only hosts that are asked for changes; None: all.
    """

    def __init__(self, facility: Facility, phases: Sequence[Phase], look: Look, progress: Progress, *, skip: bool,
                 options: Options, hosts: frozenset[str] | None = None) -> None:
        self.facility, self.look, self.progress = facility, look, progress
        self.phases = {phase.name: phase for phase in phases if phase.playbook}
        self.skip, self.options, self.limited = skip, options, hosts
        self.found = Rehearsed()
        self.workspace = facility.site.state / "work"
        self.found.folder = facility.new_logs()
        self.interrupt = Interrupt(str(facility.site.state), self.workspace / "stop", progress.note)

    def run(self) -> Rehearsed:
        """Ask, and change nothing."""
        site = self.facility.site
        if site.settings.rehearsal:
            self.found.off = [host for host, state in self.facility.lab.status().items() if state != "up"]
            if self.found.off:
                return self.found
        self.found.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.workspace, ignore_errors=True)
        self.progress.plan("preflight", "Hosts are asked", (), PREFLIGHT_SECONDS)
        try:
            with self.progress, self.interrupt:
                answers = self._preflight()
                if not self.found.refusals and not self.interrupt.asked:
                    todo = [name for name, phase in self.phases.items() if not self._complete(phase, answers)]
                    for name in todo:
                        self.progress.plan(name, self.phases[name].title)
                    scheduler.run(dict.fromkeys(todo, ()), self._guarded, SIDE_BY_SIDE,
                                  lambda: self.interrupt.asked)
                self.found.interrupted = self.interrupt.asked
        finally:
            shutil.rmtree(self.workspace, ignore_errors=True)
        return self.found

    def _preflight(self) -> Answers:
        self.progress.start("preflight")
        answers = self.look(self.facility, self.workspace, self.found.folder / "preflight.log")
        self.found.refusals = [str(each) for each in answers.refusals]
        self.found.warnings = [str(each) for each in answers.warnings]
        self.progress.end("preflight", "failed" if answers.refusals else "unchanged")
        return answers

    def _complete(self, phase: Phase, answers: Answers) -> bool:
        """Whether an apply would leave the phase out; notes it, and what keeps the phase from being rehearsed."""
        try:
            fingerprint = self.facility.fingerprint(phase)
        except Exception as error:  # what its variables are made from is not built yet
            self.found.obstacles[phase.name] = str(error)
            return True
        if marked(answers.marks, phase, fingerprint, chosen(phase, self.facility, self.limited)):
            self.found.complete.add(phase.name)
            return self.skip
        return False

    def _guarded(self, name: str) -> bool:
        """Run a phase in check mode; whatever keeps it from running is noted."""
        self.progress.start(name)
        try:
            self._play(self.phases[name])
        except Exception as error:
            self.found.obstacles[name] = str(error)
        foresight = self.found.foreseen.get(name, Foresight())
        state = ("failed" if name in self.found.obstacles else
                 "converged" if foresight.changes or foresight.failed else "unchanged")
        self.progress.end(name, state, len(foresight.changes))
        return True

    def _play(self, phase: Phase) -> None:
        assert phase.playbook
        variables = self.workspace / f"{phase.name}.vault"
        self.facility.write_variables(self.facility.roles_of(phase), variables)
        listener = Listener(task=lambda title: self.progress.step(phase.name, title),
                            hosts=lambda done, total: self.progress.hosts(phase.name, done, total),
                            warned=lambda text: self.found.warnings.append(text))
        told = self.workspace / f"{phase.name}.foresight"
        outcome = playbook.run(self.facility.target, [Play(phase.playbook)], variables,
                               self.workspace / phase.name, self.found.folder / f"{phase.name}.log", listener,
                               stop=self.interrupt.flag, options=self.options, foresight=told)
        foresight = self.found.foreseen[phase.name] = read(told)
        lost = [failure for failure in outcome.failures if failure.unreachable]
        if lost or not (outcome.ok or outcome.stopped or foresight.failed):
            self.found.obstacles[phase.name] = "; ".join(
                f"{failure.host}: {failure.message}" if failure.host else failure.message
                for failure in lost or outcome.failures)
