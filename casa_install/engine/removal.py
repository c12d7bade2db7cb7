"""Takes a facility, components or single hosts away: every role's own removal, last phase first."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from casa_install.engine import playbook
from casa_install.engine.aftermath import explained
from casa_install.engine.causes import Circumstances, explain
from casa_install.engine.converge import Verdict
from casa_install.engine.farewell import Farewell, ask
from casa_install.engine.interrupt import Interrupt
from casa_install.engine.journal import REMOVED, Journal
from casa_install.engine.playbook import Failure, Listener, Play
from casa_install.engine.progress import Progress
from casa_install.engine.remains import COMPARED, differences
from casa_install.facility import Facility
from casa_install.leaving import Leaving
from casa_install.phases import PLAYBOOKS, phases_of

NAME = "remove"
SECONDS = 600
"""How long jobs and pods have to end before their host goes, unless the admin says otherwise."""


class Removal:
    """One run of what a scope takes away.

    :param seconds: how long jobs and pods have to end, at least one.
    :param force: they are ended, and data that only a leaving host has is given up.
    """

    def __init__(self, facility: Facility, leaving: Leaving, journal: Journal, progress: Progress, *,
                 seconds: int = SECONDS, force: bool = False) -> None:
        self.facility, self.leaving, self.journal, self.progress = facility, leaving, journal, progress
        self.seconds, self.force = seconds, force
        self.verdict = Verdict()
        self.log = facility.new_logs() / "remove.log"
        self.work = facility.site.state / "work"
        self.step = ""

    def run(self) -> Verdict:
        """Ask, then take away; a failure or Ctrl-C stops it, and the next run goes on."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        title = self.leaving.scope.words.removeprefix("--component ") or "The facility"
        self.progress.plan("asked", "Hosts are asked")
        self.progress.plan(NAME, f"{title}: gone", ("asked",))
        variables = self.work / "remove.vault"
        roles = {role for phase in phases_of(self.facility.site) if phase.playbook
                 for role in self.facility.roles_of(phase)}
        try:
            with self.progress, Interrupt(str(self.facility.site.state), self.work / "stop",
                                          self.progress.note) as interrupt:
                self.facility.write_variables(roles, variables)
                farewell = self._asked(variables, interrupt)
                if not (self.verdict.refusals or interrupt.asked):
                    self._taken_away(farewell, variables, interrupt)
                self.verdict.interrupted = interrupt.asked
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
        return self.verdict

    def _asked(self, variables: Path, interrupt: Interrupt) -> Farewell:
        self.progress.start("asked")
        farewell = ask(self.facility, self.leaving, variables, self.work / "asked", self.log, interrupt.flag)
        if interrupt.asked:
            self.progress.end("asked", "interrupted")
            return farewell
        self.verdict.refusals = farewell.refusals(self.leaving, force=self.force)
        self.verdict.logs["preflight"] = self.log
        for node, users in farewell.servers.items():
            self.progress.note(f"{node} goes, and with it the servers of {', '.join(users)}.")
        for host in farewell.silent:
            self.progress.note(f"warning: {host} does not answer; the rest of the site does without it.")
        self.progress.end("asked", "failed" if self.verdict.refusals else "unchanged")
        return farewell

    def _taken_away(self, farewell: Farewell, variables: Path, interrupt: Interrupt) -> None:
        """Run the roles' removals where hosts answer, and say what stays where they do not."""
        self.progress.start(NAME)
        for name in (NAME, *self.leaving.components):
            self.journal.begin_phase(name)
        listener = Listener(task=self._begun, hosts=lambda done, total: self.progress.hosts(NAME, done, total),
                            changed=lambda host, task: self.journal.change(NAME, host, task),
                            warned=lambda text: self.progress.note(f"warning: {text}"))
        play = Play(PLAYBOOKS / "remove.yml", self._variables(farewell))
        outcome = playbook.run(self.facility.target, [play], variables, self.work / NAME, self.log, listener,
                               [COMPARED], stop=interrupt.flag)
        self.verdict.differences = differences(outcome, self.log)
        self.verdict.changed = outcome.changed
        stopped = outcome.stopped or (interrupt.at_once and not outcome.ok)
        if stopped:
            self.verdict.stopped[NAME] = self.step
        elif not outcome.ok:
            answering = [host.name for host in self.facility.site.hosts if host.name not in farewell.silent]
            self.verdict.failures[NAME] = explained(outcome.failures, self.facility.target, variables,
                                                    self.work / "aftermath", self.log, answering)
        if not stopped and (left := self._left_behind(farewell)):
            self.verdict.failures[NAME] = self.verdict.failures.get(NAME, []) + left
        self.verdict.logs[NAME] = self.log
        failures = self.verdict.failures.get(NAME)
        word = "interrupted" if stopped else "failed" if failures else "converged"
        self.progress.end(NAME, word, outcome.changed)
        self.journal.end_phase(NAME, word, outcome.changed, host=failures[0].host if failures else None)
        for name in self.leaving.components:
            self.journal.end_phase(name, REMOVED if word == "converged" else word, 0)

    def _begun(self, title: str) -> None:
        self.step = title
        self.progress.step(NAME, title)
        self.journal.step(NAME, title)

    def _left_behind(self, farewell: Farewell) -> list[Failure]:
        """A failure for each host that should have lost something and could not be asked to."""
        found = []
        for host in farewell.silent:
            if made := [name for name, hosts in self.leaving.phases.items() if host in hosts]:
                found.append(Failure(
                    host, "The host answers", f"what casa-install made there is still there: {', '.join(made)}. When "
                    "it answers again, run the same command, or set it up anew.", unreachable=True,
                    explanation=explain("", Circumstances(), unreachable=True)))
        return found

    def _variables(self, farewell: Farewell) -> Mapping[str, Any]:
        """What ``playbooks/remove.yml`` takes."""
        site, leaving, silent = self.facility.site, self.leaving, farewell.silent
        phases = {name: [host for host in hosts if host not in silent] for name, hosts in leaving.phases.items()}
        nodes, points = leaving.partly("kubernetes"), leaving.partly("condor")
        access, manager = site.one("condor_access").name, site.one("condor_manager").name
        lost = [host for host in points if host in silent]
        return {
            # every phase that the playbook names, those of rehearsals too
            "leaving": {"origin": []} | phases,
            "leaving_phases": {host: [name for name, hosts in phases.items() if host in hosts]
                               for host in leaving.hosts if host not in silent},
            "retiring_condor": [host for host in points or (access,) if host in phases.get("condor", ())],
            "staying_control": [site.one("kube_control").name] if nodes else [],
            "staying_pool": sorted({access, manager} - {*silent}) if lost else [],
            "kubernetes_leaving": [host for host in nodes if host not in silent], "kubernetes_gone": list(nodes),
            "condor_lost": lost,
            **{f"{role}_leave_seconds": self.seconds for role in ("kubernetes", "condor")},
            **{f"{role}_leave_force": self.force for role in ("kubernetes", "condor")},
        }
