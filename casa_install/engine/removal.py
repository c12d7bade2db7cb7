"""Takes a facility off real hosts: every role's own removal, last phase first."""

from __future__ import annotations

import datetime as dt
import shutil

from casa_install.engine import playbook
from casa_install.engine.aftermath import explained
from casa_install.engine.converge import Verdict
from casa_install.engine.interrupt import Interrupt
from casa_install.engine.playbook import Listener, Play
from casa_install.engine.progress import Progress
from casa_install.engine.remains import COMPARED, differences
from casa_install.facility import Facility
from casa_install.phases import PLAYBOOKS, phases_of

TITLE = "The facility is gone"


def remove_from_hosts(facility: Facility, progress: Progress) -> Verdict:
    """Run the removal of every role on its hosts; a failure or Ctrl-C stops it, and the next run goes on."""
    verdict = Verdict()
    site = facility.site
    stamp = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    log = site.state / "logs" / stamp / "remove.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    work = site.state / "work"
    variables = work / "remove.vault"
    roles = {role for phase in phases_of(site) if phase.playbook for role in facility.roles_of(phase)}
    progress.plan("remove", TITLE)
    try:
        with progress, Interrupt(str(site.state), work / "stop", progress.note) as interrupt:
            progress.start("remove")
            facility.write_variables(roles, variables)
            outcome = playbook.run(facility.target, [Play(PLAYBOOKS / "remove.yml")], variables, work / "remove", log,
                                   Listener(task=lambda title: progress.step("remove", title),
                                            hosts=lambda done, total: progress.hosts("remove", done, total)),
                                   [COMPARED], stop=interrupt.flag)
            verdict.differences = differences(outcome, log)
            stopped = outcome.stopped or (interrupt.at_once and not outcome.ok)
            progress.end("remove", "converged" if outcome.ok else "interrupted" if stopped else "failed",
                         outcome.changed)
            verdict.interrupted = interrupt.asked
        verdict.logs["remove"] = log
        if not outcome.ok and not stopped:
            verdict.failures["remove"] = explained(outcome.failures, facility.target, variables, work / "aftermath",
                                                   log)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return verdict
