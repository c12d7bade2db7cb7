"""What happened: every run, phase and changing task of a site, in one SQLite file.

``run``: verb, when, and ``verdict``: converged, failed, refused or interrupted; none when it was killed.
``phase``: a phase in a run. ``outcome`` is converged, unchanged, failed, interrupted or removed, and none when the run
was killed in it; ``step`` is its last step or task and ``stepped`` when that began; ``host`` is where it failed first.
``change``: a task that changed something on a host.
``made``: a thing that came to a host or was changed there: its ``kind`` (file, link, folder, package, account, user
record, kernel setting, or the kind of a cluster object), its name (of an object NAMESPACE/NAME), and ``before``: the
kind or the value of what was there, empty for nothing.
``difference``: at the end of a run, what a host has and had not before the first apply, or the other way round; a line
each, as ``playbooks/files/host-state`` words it, whether a role made it, a daemon or anybody else.
Times are seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
create table if not exists run (
    id integer primary key, verb text not null, started real not null, ended real, verdict text);
create table if not exists phase (
    run integer not null references run(id), name text not null, started real not null, ended real,
    outcome text, changed integer not null default 0, fingerprint text, step text, stepped real, host text);
create table if not exists change (
    run integer not null references run(id), phase text not null, host text not null, task text not null,
    at real not null);
create table if not exists made (
    run integer not null references run(id), phase text not null, host text not null, kind text not null,
    name text not null, before text not null);
create table if not exists difference (
    run integer not null references run(id), host text not null, line text not null);
create table if not exists verification (
    id integer primary key, run integer references run(id), started real not null, ended real not null);
create table if not exists check_result (
    verification integer not null references verification(id), name text not null, title text not null,
    passed integer, seconds real not null, detail text not null);
"""


@dataclass(frozen=True)
class CheckRecord:
    """The result of one check: ``passed`` is None when it was not run, seconds is how long it took."""

    name: str
    title: str
    passed: bool | None
    seconds: float
    detail: str


@dataclass(frozen=True)
class PhaseRecord:
    """One run of a phase: times in seconds since the epoch, no end and no outcome when the run was killed."""

    name: str
    started: float
    ended: float | None
    outcome: str | None
    changed: int
    fingerprint: str | None
    """Digest of all that decided what the phase made; None for phases of the installing machine."""
    step: str | None
    """The last step or task that began."""
    stepped: float | None
    host: str | None
    """Where it failed first."""

    @property
    def complete(self) -> bool:
        """It did what it had to."""
        return self.outcome in COMPLETE

    @property
    def last_sign(self) -> float:
        """When it was known to be alive last, or ended."""
        return self.ended or self.stepped or self.started


COMPLETE = ("converged", "unchanged")
REMOVED = "removed"
"""Outcome of a phase whose work was taken away from every host."""
_COLUMNS = "name, started, ended, outcome, changed, fingerprint, step, stepped, host"


class Journal:
    """The journal of a site; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.executescript(SCHEMA)
        self._run = 0

    def _do(self, statement: str, *values: object) -> sqlite3.Cursor:
        with self._lock:
            return self._database.execute(statement, values)

    def begin_run(self, verb: str) -> None:
        """Open the record of a run."""
        self._run = int(self._do("insert into run (verb, started) values (?, ?)", verb, time.time()).lastrowid or 0)

    def end_run(self, verdict: str) -> None:
        """Close the run's record: ``converged``, ``failed``, ``refused`` or ``interrupted``."""
        self._do("update run set ended = ?, verdict = ? where id = ?", time.time(), verdict, self._run)

    def begin_phase(self, name: str) -> None:
        """Open the record of a phase in this run."""
        self._do("insert into phase (run, name, started) values (?, ?, ?)", self._run, name, time.time())

    def step(self, name: str, step: str) -> None:
        """Note what a phase does now."""
        with self._lock:
            # a killed process loses nothing by it, and a cut of power only where it was: no wait for the disk
            self._database.execute("pragma synchronous = off")
            self._database.execute("update phase set step = ?, stepped = ? where run = ? and name = ?",
                                   (step, time.time(), self._run, name))
            self._database.execute("pragma synchronous = full")

    def end_phase(self, name: str, outcome: str, changed: int, fingerprint: str | None = None,
                  host: str | None = None) -> None:
        """Close a phase's record: ``converged``, ``unchanged``, ``failed`` on a host, ``interrupted``, ``removed``."""
        self._do("update phase set ended = ?, outcome = ?, changed = ?, fingerprint = ?, host = ? "
                 "where run = ? and name = ?", time.time(), outcome, changed, fingerprint, host, self._run, name)

    def change(self, phase: str, host: str, task: str) -> None:
        """Note a task that changed something on a host."""
        self._do("insert into change values (?, ?, ?, ?, ?)", self._run, phase, host, task, time.time())

    def made(self, phase: str, host: str, kind: str, name: str, before: str) -> None:
        """Note a thing that is on a host, or otherwise there, since this run."""
        self._do("insert into made values (?, ?, ?, ?, ?, ?)", self._run, phase, host, kind, name, before)

    def differs(self, host: str, lines: Sequence[str]) -> None:
        """Note in which lines a host is now other than before the first apply."""
        with self._lock, contextlib.closing(self._database.cursor()) as cursor:
            cursor.execute("begin immediate")
            cursor.executemany("insert into difference values (?, ?, ?)", [(self._run, host, line) for line in lines])
            cursor.execute("commit")

    def uncompared(self) -> frozenset[str]:
        """Hosts that were changed since the run whose differences were noted last."""
        return frozenset(host for host, in self._do(
            "select host from change group by host having max(run) > "
            "(select coalesce(max(run), 0) from difference where difference.host = change.host)"))

    def verified(self, started: float, checks: Sequence[CheckRecord]) -> None:
        """Note a verification that began at ``started`` (seconds since the epoch) and ends now, with all its checks."""
        with self._lock, contextlib.closing(self._database.cursor()) as cursor:
            cursor.execute("begin immediate")
            cursor.execute("insert into verification (run, started, ended) values (?, ?, ?)",
                           (self._run or None, started, time.time()))
            number = cursor.lastrowid
            cursor.executemany("insert into check_result values (?, ?, ?, ?, ?, ?)",
                               [(number, c.name, c.title, c.passed, c.seconds, c.detail) for c in checks])
            cursor.execute("commit")

    def newest(self, name: str, *outcomes: str) -> PhaseRecord | None:
        """The newest record of a phase, of these outcomes only if any are given; None when there is none."""
        return next((record for record in self._records(name) if not outcomes or record.outcome in outcomes), None)

    def seconds(self, name: str, count: int = 3) -> float | None:
        """What a phase takes here when there is something to do: the median of its newest runs that changed a thing."""
        took = [record.ended - record.started for record in self._records(name)
                if record.outcome == "converged" and record.changed and record.ended]
        return statistics.median(took[:count]) if took else None

    def _records(self, name: str) -> list[PhaseRecord]:
        """Every record of a phase, the newest first."""
        rows = self._do(f"select {_COLUMNS} from phase where name = ? order by run desc", name)  # noqa: S608 - ours
        return [PhaseRecord(*row) for row in rows.fetchall()]

    def close(self) -> None:
        """Close the file."""
        self._database.close()
