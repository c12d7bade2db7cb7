"""A rehearsal with a past: runs, changes and verifications, written through the journal on a clock of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

from casa_install import verify
from casa_install.engine.journal import CheckRecord, Journal
from casa_install.facility import Facility
from casa_install.phases import ROOT, Phase, phases_of

SECONDS = {"hosts": 35, "programs": 3, "images": 4, "data": 2, "base": 22, "dns": 25, "registry": 14, "condor": 48,
           "origin": 30, "xcache": 26, "publish": 40, "kubernetes": 95, "cilium": 44, "storage": 12, "traefik": 15,
           "worker": 31, "hub": 52, "reference": 2}
PROOF_SECONDS = 75
EVIL = "<script>alert('report')</script>"


class Clock:
    """Time that passes when it is told to (seconds since the epoch)."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def facility_at(folder: Path, inventory: Path = ROOT / "inventory" / "rehearsal" / "site.ini") -> Facility:
    """A facility whose state is below this folder; the environment must keep its vault key and cache there, too."""
    folder.mkdir(exist_ok=True)
    shutil.copy(inventory, folder / "site.ini")
    return Facility.open(folder / "site.ini")


def make_credentials(facility: Facility) -> None:
    """Fill the vault as an apply does: with the variables of every role."""
    for phase in phases_of(facility.site):
        if phase.playbook:
            for role in facility.roles_of(phase):
                facility.role_variables(role)


def live(facility: Facility, now: float, *, task: str = "The configuration is written", detail: str = "as expected",
         broken: str | None = None) -> None:
    """Three days: a run that failed in ``condor``, one that converged and was verified, a verification a day after.

    :param broken: name of a check that fails in the last verification; those after it are not run.
    """
    clock = Clock(now - 3 * 86400)
    with mock.patch("casa_install.engine.journal.time.time", clock):
        book = Journal(facility.site.state / "journal.sqlite")
        _run(book, facility, clock, task, failing="condor")
        clock.now += 1800
        _run(book, facility, clock, task, failing=None)
        for host in facility.site.hosts:
            book.differs(host.name, [f"+ /etc/of-{host.name}", f"~ kernel setting of.{host.name}: {detail}, was 0"])
        _prove(book, facility, clock, detail, None)
        book.end_run("converged")
        book.close()
        clock.now += 86400
        later = Journal(facility.site.state / "journal.sqlite")
        _prove(later, facility, clock, detail, broken)
        later.close()


def _run(book: Journal, facility: Facility, clock: Clock, task: str, failing: str | None) -> None:
    begin = clock.now
    book.begin_run("apply")
    ends: dict[str, float] = {}
    order = phases_of(facility.site)
    moments: list[tuple[float, Phase, str]] = []
    for phase in order:
        start = max([begin, *(ends[need] for need in phase.needs)])
        ends[phase.name] = start + SECONDS[phase.name]
        moments += [(start, phase, "begin"), (ends[phase.name], phase, "end")]
        hosts = phase.hosts(facility.site)
        moments += [(start + SECONDS[phase.name] * (n + 1) / (3 * len(hosts) + 1), phase, hosts[n % len(hosts)].name)
                    for n in range(3 * len(hosts))]
    limit = ends[failing] if failing else max(ends.values())
    for at, phase, what in sorted(moments, key=lambda each: each[0]):
        if at > limit:
            break
        clock.now = at
        if what == "begin":
            book.begin_phase(phase.name)
        elif what == "end":
            changed = 3 * len(phase.hosts(facility.site))
            outcome = "failed" if phase.name == failing else "converged" if changed else "unchanged"
            book.end_phase(phase.name, outcome, changed, "abc")
        else:
            book.change(phase.name, what, f"{task} ({phase.title})")
    if failing:
        book.end_run("failed")


def _prove(book: Journal, facility: Facility, clock: Clock, detail: str, broken: str | None) -> None:
    began = clock.now
    results: list[CheckRecord] = []
    failed = False
    for stage in verify.stages(facility.site):
        left = failed
        for check in stage:
            passed = None if left else check.name != broken
            failed = failed or passed is False
            results.append(CheckRecord(check.name, check.title, passed, 0 if left else 1.5, "" if left else detail))
    clock.now += PROOF_SECONDS
    book.verified(began, results)
