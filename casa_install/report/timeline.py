"""A run as bars in per cent of its time: one row a phase, and one row a host with what was changed there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from casa_install.engine.history import Change, Run
from casa_install.supply.supply import duration


@dataclass(frozen=True)
class Bar:
    """From ``left`` to ``left + width`` per cent of the run; ``kind`` is the outcome that colours it."""

    left: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True)
class Row:
    """A line of the chart: what it is, how long it took in words, its bars and moments (per cent) of change."""

    label: str
    note: str
    bars: tuple[Bar, ...]
    ticks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """The chart: rows, and marks of the time axis (per cent, words)."""

    phases: tuple[Row, ...]
    hosts: tuple[Row, ...]
    axis: tuple[tuple[float, str], ...]


STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def timeline(run: Run, titles: dict[str, str], hosts: Sequence[str]) -> Timeline:
    """The chart of a run; ``titles`` names its phases, ``hosts`` are the site's.

    A phase that was killed ends at the last sign of its run.
    """
    end = max(run.last_sign, run.started + 1)
    whole = end - run.started

    def at(moment: float) -> float:
        return round(min(max((moment - run.started) / whole * 100, 0), 100), 2)

    def bar(begin: float, close: float, kind: str, title: str) -> Bar:
        width = min(max(at(close) - at(begin), 0.4), 100)  # what took no time is seen, too
        left = min(at(begin), 100 - width)
        return Bar(round(left, 2), round(width, 2), kind, title)

    def ticks(changes: Iterable[Change]) -> tuple[float, ...]:
        return tuple(sorted({min(at(change.at), 99.6) for change in changes}))  # the run's last moment is seen, too

    phases = []
    for phase in run.phases:
        close = phase.ended or end
        outcome = phase.outcome or "interrupted"
        what = f"{phase.changed} changed" if outcome == "converged" else outcome
        note = f"{duration(close - phase.started)}, {what}"
        title = titles.get(phase.name, phase.name)
        phases.append(Row(title, note, (bar(phase.started, close, outcome, f"{title}: {note}"),),
                          ticks(c for c in run.changes if c.phase == phase.name)))
    rows = []
    for host in hosts:
        there = [c for c in run.changes if c.host == host]
        bars = tuple(bar(changes[0].at, changes[-1].at, "converged",
                         f"{titles.get(name, name)}: {len(changes)} changed on {host}")
                     for name, changes in _by_phase(there).items())
        rows.append(Row(host, f"{len(there)} changed" if there else "nothing changed", bars, ticks(there)))
    step = next((s for s in STEPS if whole / s <= 6), STEPS[-1])
    axis = tuple((at(run.started + n * step), _clock(n * step)) for n in range(int(whole // step) + 1))
    return Timeline(tuple(phases), tuple(rows), axis)


def _by_phase(changes: Sequence[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.phase, []).append(change)
    return found


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02d} h" if seconds >= 3600 else (
        f"{seconds // 60} min" if seconds % 60 == 0 and seconds else f"{seconds} s" if seconds else "0")
