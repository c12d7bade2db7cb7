"""Reads a site's journal back: runs with their phases and changes, and verifications with their checks."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from casa_install.engine.journal import CheckRecord


@dataclass(frozen=True)
class PhaseRun:
    """A phase in a run; no end and no outcome when the run was killed in it. Times: seconds since the epoch."""

    name: str
    started: float
    ended: float | None
    outcome: str | None
    changed: int


@dataclass(frozen=True)
class Change:
    """A task that changed something on a host, and when it had done so (seconds since the epoch)."""

    phase: str
    host: str
    task: str
    at: float


@dataclass(frozen=True)
class Run:
    """A run of a verb; no end and no verdict when it was killed or is still going on."""

    number: int
    verb: str
    started: float
    ended: float | None
    verdict: str | None
    phases: tuple[PhaseRun, ...]
    changes: tuple[Change, ...]

    @property
    def last_sign(self) -> float:
        """When it ended, or when it was last known to work."""
        signs = [self.started, *(p.ended or p.started for p in self.phases), *(c.at for c in self.changes)]
        return self.ended or max(signs)


@dataclass(frozen=True)
class Verification:
    """One proof of the site; ``run`` is the apply that it belongs to, None for the verb ``verify``."""

    run: int | None
    started: float
    ended: float
    checks: tuple[CheckRecord, ...]

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(check.passed is True for check in self.checks)

    @property
    def verdict(self) -> str:
        """``verified`` when every check passed."""
        return "verified" if self.passed == len(self.checks) else "not verified"


@dataclass(frozen=True)
class History:
    """Everything that a journal remembers, oldest first."""

    runs: tuple[Run, ...] = ()
    verifications: tuple[Verification, ...] = ()
    differences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Host -> in what it differs from before the first apply, as it was noted last, a line each."""


def read_history(path: Path) -> History:
    """The journal's content; an empty history when there is no journal."""
    if not path.exists():
        return History()
    with contextlib.closing(sqlite3.connect(path)) as database:
        runs = [Run(number, verb, started, ended, verdict, _phases(database, number), _changes(database, number))
                for number, verb, started, ended, verdict in
                database.execute("select id, verb, started, ended, verdict from run order by id").fetchall()]
        verifications = [Verification(run, started, ended, _checks(database, number))
                         for number, run, started, ended in
                         database.execute("select id, run, started, ended from verification order by id").fetchall()]
        differences = _differences(database)
    return History(tuple(runs), tuple(verifications), differences)


def _phases(database: sqlite3.Connection, run: int) -> tuple[PhaseRun, ...]:
    rows = database.execute("select name, started, ended, outcome, changed from phase where run = ? order by started",
                            (run,))
    return tuple(PhaseRun(*row) for row in rows)


def _changes(database: sqlite3.Connection, run: int) -> tuple[Change, ...]:
    rows = database.execute("select phase, host, task, at from change where run = ? order by at", (run,))
    return tuple(Change(*row) for row in rows)


def _differences(database: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    rows = database.execute("select host, line from difference natural join "
                            "(select host, max(run) as run from difference group by host) order by difference.rowid")
    found: dict[str, list[str]] = {}
    for host, line in rows:
        found.setdefault(host, []).append(line)
    return {host: tuple(lines) for host, lines in found.items()}


def _checks(database: sqlite3.Connection, verification: int) -> tuple[CheckRecord, ...]:
    rows = database.execute("select name, title, passed, seconds, detail from check_result where verification = ? "
                            "order by rowid", (verification,))
    return tuple(CheckRecord(name, title, None if passed is None else bool(passed), seconds, detail)
                 for name, title, passed, seconds, detail in rows)
