"""Converges a site: asks its hosts, then runs the phases that are not complete yet."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from casa_install.engine import playbook, resume, scheduler
from casa_install.engine.aftermath import explained
from casa_install.engine.causes import Circumstances, explain
from casa_install.engine.interrupt import EXIT, Interrupt, Interrupted, Reporter
from casa_install.engine.journal import COMPLETE, Journal
from casa_install.engine.playbook import NO_OPTIONS, Failure, Listener, Options, Play
from casa_install.engine.progress import Progress
from casa_install.engine.remains import BEFORE, COMPARE, COMPARED, UNKNOWN, differences
from casa_install.facility import Facility
from casa_install.phases import PLAYBOOKS, Phase

SIDE_BY_SIDE = 3  # playbooks at once; the installing machine's two cores are the limit, not the hosts


@dataclass
class Verdict:
    """How a converging run ended."""

    refusals: list[str] = field(default_factory=list)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    """Phase that was stopped by Ctrl-C -> its last step."""
    interrupted: bool = False
    changed: int = 0
    differences: dict[str, list[str]] = field(default_factory=dict)
    """After a removal: host that could be compared -> what differs from before the first apply, a line each."""
    logs: dict[str, Path] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """Exit code: 0 converged, 1 something failed, 2 refused before any host was touched, 130 stopped by Ctrl-C."""
        return 2 if self.refusals else 1 if self.failures else EXIT if self.interrupted else 0

    @property
    def word(self) -> str:
        """The run's verdict as the journal has it."""
        return {0: "converged", 1: "failed", 2: "refused", EXIT: "interrupted"}[self.code]


class Answers(Protocol):
    """What the hosts said when they were asked before anything is changed."""

    marks: dict[str, dict[str, str]]
    """Host -> phase -> fingerprint with which the phase was completed there."""
    kinds: dict[str, str]
    """Host -> what of the host itself decides what roles make there; a mark says it, too."""

    @property
    def refusals(self) -> Sequence[object]:
        """What stops the run, each a sentence as text."""

    @property
    def warnings(self) -> Sequence[object]:
        """What does not stop it."""


Step = Callable[[Facility, Reporter], int]
"""Makes a phase true on the installing machine and returns how many things it changed."""
Look = Callable[[Facility, Path, Path], Answers]
"""Asks a facility's hosts and changes nothing; gets a folder of its own and the log's path."""
PREFLIGHT_SECONDS = 5.0


def chosen(phase: Phase, facility: Facility, limited: frozenset[str] | None) -> list[str]:
    """Names of a phase's hosts, of which ``limited`` may leave some."""
    return [host.name for host in phase.hosts(facility.site) if limited is None or host.name in limited]


def marked(marks: Mapping[str, Mapping[str, str]], phase: Phase, fingerprint: str, hosts: Sequence[str]) -> bool:
    """Whether every one of the hosts says that a phase was completed there with this fingerprint."""
    return all(marks.get(host, {}).get(phase.name) == fingerprint for host in hosts)


class Convergence:
    """One run over a site's phases.

    :param skip: phases whose marks say that they are complete are not run.
    :param expected: phase -> seconds that it is expected to take.
    :param options: what the admin gave for ansible-playbook.
    :param hosts: names of the only hosts that are worked on; None: all.
    """

    def __init__(self, facility: Facility, phases: Sequence[Phase], steps: Mapping[str, Step], look: Look,
                 journal: Journal, progress: Progress, *, skip: bool = True,
                 expected: Mapping[str, float] | None = None, options: Options = NO_OPTIONS,
                 hosts: frozenset[str] | None = None) -> None:
        self.facility, self.phases, self.steps, self.look = facility, phases, steps, look
        self.journal, self.progress, self.skip = journal, progress, skip
        self.expected, self.options, self.limited = expected or {}, options, hosts
        self.verdict = Verdict()
        self.marks: dict[str, dict[str, str]] = {}
        self.kinds: dict[str, str] = {}
        self.fingerprints: dict[str, str] = {}
        self.steps_seen: dict[str, str] = {}
        self.folder = facility.new_logs()
        self.workspace = facility.site.state / "work"
        self.interrupt = Interrupt(str(facility.site.state), self.workspace / "stop", progress.note)

    def run(self) -> Verdict:
        """Make every phase true, or say why not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.workspace, ignore_errors=True)
        first = [p for p in self.phases if p.name == "hosts"]
        rest = [p for p in self.phases if p.name != "hosts"]
        self._announce(first, rest)
        try:
            with self.progress, self.interrupt:
                if where := resume.sentence(self.journal, [p.name for p in self.phases]):
                    self.progress.note(where)
                if all(self._guarded(p) for p in first):
                    if not self.interrupt.asked:
                        self._preflight()
                    if not self.verdict.refusals:
                        done = {p.name for p in first}
                        needs = {p.name: [n for n in p.needs if n not in done] for p in rest}
                        table = {p.name: p for p in rest}
                        scheduler.run(needs, lambda name: self._guarded(table[name]), SIDE_BY_SIDE,
                                      lambda: self.interrupt.asked)
                        self._compared()
                self.verdict.interrupted = self.interrupt.asked
        finally:
            shutil.rmtree(self.workspace, ignore_errors=True)
        return self.verdict

    def _announce(self, first: Sequence[Phase], rest: Sequence[Phase]) -> None:
        for phase in first:
            self.progress.plan(phase.name, phase.title, (), self.expected.get(phase.name))
        self.progress.plan("preflight", "Hosts can be worked on", [p.name for p in first], PREFLIGHT_SECONDS)
        for phase in rest:
            self.progress.plan(phase.name, phase.title, ("preflight", *phase.needs), self.expected.get(phase.name))

    def _play(self, name: str, plays: Sequence[Play], roles: set[str], listener: Listener,
              wanted: Sequence[str] = ()) -> playbook.Outcome:
        variables = self.workspace / f"{name}.vault"
        self.facility.write_variables(roles, variables)
        log = self.folder / f"{name}.log"
        self.verdict.logs[name] = log
        return playbook.run(self.facility.target, plays, variables, self.workspace / name, log, listener,
                            wanted, stop=self.interrupt.flag, options=self.options)

    def _preflight(self) -> None:
        """Ask every host, and hold back where one refuses."""
        self.progress.start("preflight")
        self.verdict.logs["preflight"] = self.folder / "preflight.log"
        found = self.look(self.facility, self.workspace, self.verdict.logs["preflight"])
        if self.interrupt.at_once:  # its programs have been stopped: what they said means nothing
            self.progress.end("preflight", "interrupted")
            return
        self.marks, self.kinds = found.marks, found.kinds
        self.verdict.refusals = [str(refusal) for refusal in found.refusals]
        for warning in found.warnings:
            self.progress.note(f"warning: {warning}")
        self.progress.end("preflight", "failed" if found.refusals else "unchanged")

    def _compared(self) -> None:
        """Note in what hosts that were changed differ from what they were before us; a run that failed leaves it to
        the next one."""
        changed = self.journal.uncompared() & {host.name for host in self.facility.site.hosts}
        hosts = sorted(changed if self.limited is None else changed & self.limited)
        if not hosts or self.verdict.failures or self.interrupt.asked:
            return
        self.progress.plan("compared", "What came to the hosts is noted")
        self.progress.start("compared")
        play = Play(COMPARE, {"compared_hosts": ",".join(hosts)})
        outcome = self._play("compared", [play], set(), Listener(), [COMPARED])
        found = differences(outcome, self.verdict.logs["compared"])
        for host in hosts if outcome.ok else found:
            self.journal.differs(host, found.get(host, [UNKNOWN]))
        for failure in outcome.failures:
            self.progress.note(f"warning: {failure.host} could not be compared, which the next apply does: "
                               f"{failure.message.splitlines()[0]}")
        self.progress.end("compared", "unchanged" if outcome.ok else "interrupted")

    def _guarded(self, phase: Phase) -> bool:
        """Run a phase; whatever goes wrong in it becomes a failure of that phase."""
        self.progress.start(phase.name)
        self.journal.begin_phase(phase.name)
        try:
            changed = self._on_hosts(phase) if phase.playbook else self._here(phase)
        except Interrupted:
            self._stopped(phase.name)
            changed = None
        except Exception as error:
            changed = None
            log = self.verdict.logs.setdefault(phase.name, self.folder / f"{phase.name}.log")
            with log.open("a") as stream:
                traceback.print_exc(file=stream)
            if self.interrupt.asked:  # its programs have been stopped, by us or by the terminal
                self._stopped(phase.name)
            else:
                failure = Failure("", phase.title, str(error), explanation=explain(str(error), Circumstances()))
                self.verdict.failures.setdefault(phase.name, [failure])
        failures = self.verdict.failures.get(phase.name, [])
        outcome = ("failed" if failures else "interrupted" if phase.name in self.verdict.stopped
                   else "unchanged" if changed is None else "converged")
        self.verdict.changed += changed or 0
        if failures and failures[0].host:  # other hosts may have gone on
            self.journal.step(phase.name, failures[0].task)
        self.journal.end_phase(phase.name, outcome, changed or 0, self.fingerprints.get(phase.name),
                               (failures[0].host or None) if failures else None)
        self.progress.end(phase.name, outcome, changed or 0)
        return outcome in COMPLETE

    def _stopped(self, phase: str) -> None:
        self.verdict.stopped[phase] = self.steps_seen.get(phase, "")

    def _step(self, phase: str, step: str) -> None:
        self.steps_seen[phase] = step
        self.progress.step(phase, step)
        self.journal.step(phase, step)

    def _here(self, phase: Phase) -> int | None:
        reporter = Reporter(self.interrupt, lambda step: self._step(phase.name, step))
        return self.steps[phase.name](self.facility, reporter) or None

    def _on_hosts(self, phase: Phase) -> int | None:
        """Run a phase's playbook; None when every host's mark says that it is complete already."""
        fingerprint = self.fingerprints[phase.name] = self.facility.fingerprint(phase)
        hosts = chosen(phase, self.facility, self.limited)
        if self.skip and marked(self.marks, phase, fingerprint, hosts):
            return None
        mark = {"phase_name": phase.name, "phase_hosts": ",".join(hosts),
                "phase_marks": {host: f"{fingerprint} {self.kinds[host]}" for host in hosts}}
        assert phase.playbook
        new = [host for host in hosts if not self.marks.get(host)]
        first = [Play(BEFORE, {"before_hosts": ",".join(new)})] if new else []
        plays = [*first, Play(PLAYBOOKS / "begin.yml", mark), Play(phase.playbook),
                 Play(PLAYBOOKS / "finish.yml", mark)]
        listener = Listener(task=lambda title: self._step(phase.name, title),
                            hosts=lambda done, total: self.progress.hosts(phase.name, done, total),
                            changed=lambda host, task: self.journal.change(phase.name, host, task),
                            made=lambda *thing: self.journal.made(phase.name, *thing),
                            warned=lambda text: self.progress.note(f"warning: {text}"))
        outcome = self._play(phase.name, plays, self.facility.roles_of(phase), listener)
        if outcome.stopped or (self.interrupt.at_once and not outcome.ok):
            self._stopped(phase.name)
        elif not outcome.ok:
            self.verdict.failures[phase.name] = explained(
                outcome.failures, self.facility.target, self.workspace / f"{phase.name}.vault",
                self.workspace / f"{phase.name}-aftermath", self.verdict.logs[phase.name],
                [host.name for host in self.facility.site.hosts])
        return outcome.changed
