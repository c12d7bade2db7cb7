"""What an apply would do and how long it takes, as far as this machine knows without asking a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from casa_install.engine import estimate
from casa_install.engine.converge import SIDE_BY_SIDE
from casa_install.engine.journal import REMOVED, Journal, PhaseRecord
from casa_install.facility import Facility
from casa_install.phases import Phase, phases_of


def planned(facility: Facility, phase: Phase, journal: Journal, *, skip: bool = True) -> dict[str, Any]:
    """One phase of a plan: ``phase``, ``title``, ``hosts``, ``needs``, ``change`` (words) and ``seconds``.

    ``seconds`` is what the phase is expected to take: 0 when it is complete, else what it took on this site, or what
    it takes on two cores.

    :param skip: complete phases are not run.
    """
    last = journal.newest(phase.name)
    change = _change(facility, phase, last)
    complete = not phase.artifacts and last is not None and last.complete and change != CHANGED
    seconds = _of_builds(facility, phase) if phase.artifacts else (
        0.0 if complete and (skip or not phase.playbook) else journal.seconds(phase.name) or phase.seconds)
    return {"phase": phase.name, "title": phase.title, "hosts": [h.name for h in phase.hosts(facility.site)],
            "needs": list(phase.needs), "change": change, "seconds": round(seconds)}


def expected(facility: Facility, phases: Sequence[Phase], journal: Journal, *, skip: bool = True) -> dict[str, float]:
    """Phase -> seconds that it is expected to take."""
    return {phase.name: planned(facility, phase, journal, skip=skip)["seconds"] for phase in phases}


def total(rows: Sequence[dict[str, Any]]) -> float:
    """Seconds that a plan is expected to take, its phases side by side."""
    names = {row["phase"] for row in rows}
    return estimate.remaining({row["phase"]: [n for n in row["needs"] if n in names] for row in rows},
                              {row["phase"]: row["seconds"] for row in rows}, (), SIDE_BY_SIDE)


CHANGED = "runs: inventory, role or versions have changed"


def _of_builds(facility: Facility, phase: Phase) -> float:
    """What is left to build, as the catalog or the last builds say; without what phases before it build."""
    todo = facility.supply.todo(phase.artifacts)
    before = {entry.id for other in phases_of(facility.site) if other.name in phase.needs and other.artifacts
              for entry in facility.supply.todo(other.artifacts)}
    return sum(facility.supply.store.expected(entry) for entry in todo if entry.id not in before)


def _change(facility: Facility, phase: Phase, last: PhaseRecord | None) -> str:
    """What an apply would do in a phase."""
    if phase.artifacts:
        missing = facility.supply.missing(phase.artifacts)
        return f"builds {', '.join(missing)}" if missing else "nothing to build"
    if last is None:
        return "runs for the first time"
    if last.outcome == REMOVED:
        return "runs again: it was removed"
    if not last.complete:
        return "runs again: it was not completed last time"
    if not phase.playbook:
        return "is looked at again"
    return "complete, unless a host has lost its mark" if _same(facility, phase, last) else CHANGED


def _same(facility: Facility, phase: Phase, last: PhaseRecord) -> bool:
    try:
        return facility.fingerprint(phase) == last.fingerprint
    except Exception:  # what a role's variables lack is for the phase itself to say, when it runs
        return False
