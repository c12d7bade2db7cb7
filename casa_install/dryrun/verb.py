"""The verb ``plan``: what a dry run found, in words or as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from casa_install.dryrun.rehearse import DryRun, Rehearsed
from casa_install.engine.converge import SIDE_BY_SIDE, Look
from casa_install.engine.interrupt import EXIT
from casa_install.engine.journal import Journal
from casa_install.engine.progress import Progress, about
from casa_install.facility import Facility
from casa_install.phases import Phase, needed
from casa_install.planning import planned, total
from casa_install.selection import Selection

PLANNED, FAILS, REFUSED = 0, 1, 2


def plan(facility: Facility, selected: Selection, look: Look, console: Console, *, as_json: bool) -> int:
    """Show what an apply would do; 1 when it would fail, 2 when it would be refused."""
    progress = Progress(Console(stderr=True, highlight=False, quiet=as_json), SIDE_BY_SIDE, "would change")
    found = DryRun(facility, selected.phases, look, progress, skip=selected.skip, options=selected.options,
                   hosts=selected.hosts).run()
    with contextlib.closing(Journal(facility.site.state / "journal.sqlite")) as journal:
        rows = rows_of(facility, selected, found, journal)
    seconds = total(rows)
    if as_json:
        console.print_json(json.dumps({"phases": rows, "seconds": round(seconds), "refusals": found.refusals,
                                       "warnings": found.warnings}))
    else:
        _show(rows, found, seconds, console)
    if found.interrupted:
        return EXIT
    return REFUSED if found.refusals else FAILS if any(row["failures"] for row in rows) else PLANNED


def rows_of(facility: Facility, selected: Selection, found: Rehearsed, journal: Journal) -> list[dict[str, Any]]:
    """One row a phase: what :func:`casa_install.planning.planned` says of it, and what the hosts said.

    ``changes`` are tasks that would change something (``host``, ``task``, ``diff``), ``then`` those of which that is
    not known (``host``, ``task``, ``after``: what has to be done before), and ``failures`` those that would fail
    (``host``, ``task``, ``message``).
    """
    rows: list[dict[str, Any]] = []
    busy: set[str] = set()  # phases that would do something
    for phase in selected.phases:
        row = planned(facility, phase, journal, skip=selected.skip)
        row |= {"changes": [], "then": [], "failures": []}
        if selected.hosts is not None:
            row["hosts"] = [host for host in row["hosts"] if host in selected.hosts]
        if phase.playbook:
            _answer(phase, row, found, busy & needed({phase.name}, selected.phases))
            if row["change"] != COMPLETE and not row["seconds"]:
                row["seconds"] = round(journal.seconds(phase.name) or phase.seconds)
        if row["seconds"] if phase.artifacts else phase.playbook and row["change"] not in (COMPLETE, SAME):
            busy.add(phase.name)
        rows.append(row)
    return rows


COMPLETE = "complete"
SAME = "is looked at again, nothing changes"


def _answer(phase: Phase, row: dict[str, Any], found: Rehearsed, waits: set[str]) -> None:
    """Put into a row what the hosts said of its phase.

    :param waits: phases that it needs and that would do something.
    """
    foresight = found.foreseen.get(phase.name)
    if found.off or found.refusals:
        row["change"] = "runs as far as its hosts are not complete; they could not be asked"
    elif foresight is None or phase.name in found.obstacles:
        reason = found.obstacles.get(phase.name, "")
        row["change"] = COMPLETE if phase.name in found.complete else "runs: what it changes is known when what it " \
            f"needs is there{f' ({reason})' if reason else ''}"
        if reason and not waits:
            row["failures"] = [{"host": "", "task": phase.title, "message": reason}]
    else:
        row["changes"] = [{"host": host, "task": task, "diff": diff or None}
                          for (host, task), diff in foresight.changes.items()]
        others = f"phase {', '.join(sorted(waits))}" if waits else ""
        then = foresight.unknown | {task: after or others for task, (_, after) in foresight.failed.items()
                                    if after or others}
        row["then"] = [{"host": host, "task": task, "after": after} for (host, task), after in then.items()]
        row["failures"] = [{"host": host, "task": task, "message": message}
                           for (host, task), (message, after) in foresight.failed.items() if not (after or others)]
        parts = [f"{len(row[kind])} {word}" for kind, word in (("changes", "to change"), ("then", "not known yet"),
                                                               ("failures", "to fail")) if row[kind]]
        why = f"{row['change']}; " if row["change"].startswith("runs") else ""
        row["change"] = f"{why}{', '.join(parts)}" if parts else SAME
    if row["change"] == COMPLETE:
        row["seconds"] = 0


def _show(rows: Sequence[dict[str, Any]], found: Rehearsed, seconds: float, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, soft_wrap=True)

    if found.off:
        say(f"{', '.join(found.off)}: virtual hosts that do not run; an apply boots them")
    for row in rows:
        takes = f" (about {about(row['seconds'])})" if row["seconds"] else ""
        say(f"{row['phase']:<11} {row['title']}")
        say(f"            {', '.join(row['hosts']) or 'the installing machine'}: {row['change']}{takes}")
        for each in row["changes"]:
            say(f"    changes {each['host']}: {each['task']}")
            for line in (each["diff"] or "").splitlines():
                say(f"            {line}")
        for each in row["then"]:
            when = f"before this is done: {each['after']}" if each["after"] else "before it runs"
            say(f"    unknown {each['host']}: {each['task']} (not known {when})")
        for each in row["failures"]:
            say(f"      fails {each['host']}: {each['task']}: {each['message']}")
    for warning in found.warnings:
        say(f"warning: {warning}")
    for refusal in found.refusals:
        say(f"refused: {refusal}")
    say(_sentence(rows, found, seconds))


def _sentence(rows: Sequence[dict[str, Any]], found: Rehearsed, seconds: float) -> str:
    if found.interrupted:
        return "Stopped by Ctrl-C: this is not the whole plan. Nothing was changed."
    if found.refusals:
        return f"An apply would be refused. Nothing was changed.\n  log:  {found.folder / 'preflight.log'}"
    if any(row["failures"] for row in rows):
        return f"An apply would fail. Nothing was changed.\n  logs: {found.folder}"
    if any(row["changes"] or row["then"] or (row["seconds"] and row["change"] != SAME) for row in rows) or found.off:
        return f"An apply takes about {about(seconds)}. Nothing was changed."
    return "There is nothing to do."
