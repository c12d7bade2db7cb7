"""What a run shows: one live line a phase on a terminal, plain lines with times elsewhere."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from casa_install.engine import estimate

MARKS = {"waiting": "·", "running": "▸", "converged": "✔", "unchanged": "=", "failed": "✘", "interrupted": "!"}
STYLES = {"waiting": "dim", "running": "cyan", "converged": "green", "unchanged": "dim green", "failed": "bold red",
          "interrupted": "yellow"}
FINISHED = ("converged", "unchanged")

_Row = tuple[str, str, str, str, str]
"""State, elapsed time, time left, title, what is done now."""


@dataclass
class _Line:
    title: str
    needs: tuple[str, ...] = ()
    expected: float | None = None
    state: str = "waiting"
    step: str = ""
    hosts: str = ""
    changed: int = 0
    began: float = 0.0
    ended: float = 0.0

    def seconds(self) -> float:
        if not self.began:
            return 0.0
        return (self.ended or time.monotonic()) - self.began

    def left(self) -> float:
        """Seconds that it still needs; none when it should be over, or nobody knows."""
        return max(0.0, (self.expected or 0.0) - self.seconds()) if self.state in ("waiting", "running") else 0.0


def clock(seconds: float) -> str:
    """Seconds as ``m:ss``, from an hour on as ``h:mm:ss``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def about(seconds: float) -> str:
    """Seconds as people estimate them."""
    minutes = seconds / 60
    return f"{max(1, round(minutes))} min" if minutes >= 1 else f"{max(5, 5 * round(seconds / 5))} s"


class Progress:
    """Shows a run; every method may be called from any thread.

    :param workers: phases that run side by side, for the remaining time.
    :param did: what a phase that converged did to as many things as it counts.
    """

    def __init__(self, console: Console, workers: int = 1, did: str = "changed") -> None:
        self.console, self._did = console, did
        self.began = time.monotonic()
        self._workers = workers
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        plain = self.console.is_dumb_terminal or os.environ.get("NO_COLOR")
        if self.console.is_terminal and not plain:
            self._live = Live(get_renderable=self._screen, console=self.console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.__exit__(None, None, None)
            self._live = None

    # -- the live screen --

    def _screen(self) -> Group:
        """Every phase and the total, in as many lines as the terminal has."""
        with self._lock:
            shown, complete, waiting = self._fitting(self.console.height - 2)
            rows = [self._cells(line) for line in shown]
            if complete:
                rows.insert(0, ("converged", "", "", f"{complete} more are complete", ""))
            if waiting:
                rows.append(("waiting", "", "", f"{waiting} more wait", ""))
            left = self._left()
            rows.append(("", clock(time.monotonic() - self.began), f"~{clock(left)}" if left >= 1 else "",
                         "The whole run", ""))
            widest = max(len(line.title) for line in self._lines.values())
        return Group(*self._aligned(rows, widest))

    def _aligned(self, rows: Sequence[_Row], title_width: int) -> list[Text]:
        """One line of text a row, none wider than the terminal; what a phase does gets what titles leave."""
        widths = [max(least, *(len(row[column]) for row in rows)) for column, least in ((1, 5), (2, 6))]
        lines = []
        for state, began, left, title, detail in rows:
            text = Text.assemble(
                (MARKS.get(state, " "), STYLES.get(state, "")), f" {began:>{widths[0]}} ",
                (f"{left:<{widths[1]}} ", "dim"), (f"{title:<{title_width}} ", "" if state else "bold"),
                (detail, "dim"))
            text.no_wrap = True
            text.truncate(self.console.width - 1, overflow="ellipsis")
            lines.append(text)
        return lines

    def _fitting(self, rows: int) -> tuple[list[_Line], int, int]:
        """The lines for so many rows, and how many complete and waiting ones are left out."""
        lines = list(self._lines.values())
        complete = [line for line in lines if line.state in FINISHED]
        waiting = [line for line in lines if line.state == "waiting"]
        excess = len(lines) - rows
        # a group that is folded takes a row itself
        fold_complete = min(len(complete), excess + 1) if excess > 0 else 0
        excess -= max(0, fold_complete - 1)
        fold_waiting = min(len(waiting), excess + 1) if excess > 0 else 0
        hidden = {id(line) for line in complete[:fold_complete] + waiting[len(waiting) - fold_waiting:]}
        return [line for line in lines if id(line) not in hidden], fold_complete, fold_waiting

    def _cells(self, line: _Line) -> _Row:
        left = line.left()
        detail = " ".join(filter(None, (line.hosts, line.step))) if line.state == "running" else self._result(line)
        return (line.state, clock(line.seconds()) if line.began else "", f"~{clock(left)}" if left >= 1 else "",
                line.title, detail)

    def _left(self) -> float:
        """Seconds until the run is over, should everything take as long as expected."""
        todo = {name: line for name, line in self._lines.items() if line.state in ("waiting", "running")}
        return estimate.remaining({name: [n for n in line.needs if n in todo] for name, line in todo.items()},
                                  {name: line.left() for name, line in todo.items()},
                                  [name for name, line in todo.items() if line.state == "running"], self._workers)

    def _result(self, line: _Line) -> str:
        if line.state == "converged":
            return f"{line.changed} {self._did}"
        return {"unchanged": "unchanged", "failed": "failed", "interrupted": "stopped"}.get(line.state, "")

    # -- what happens --

    def plan(self, name: str, title: str, needs: Sequence[str] = (), expected: float | None = None) -> None:
        """Announce a phase, the phases it waits for and the seconds it is expected to take."""
        with self._lock:
            self._lines[name] = _Line(title, tuple(needs), expected)

    def start(self, name: str) -> None:
        """A phase begins."""
        with self._lock:
            line = self._lines[name]
            line.state, line.began = "running", time.monotonic()
        expected = f" (takes about {about(line.expected)})" if line.expected and line.expected >= 1 else ""
        self._say(f"{line.title} …{expected}")

    def step(self, name: str, step: str) -> None:
        """A phase does something."""
        with self._lock:
            line = self._lines[name]
            line.step, line.hosts = step, ""

    def hosts(self, name: str, done: int, total: int) -> None:
        """So many hosts of the phase have done its present step."""
        with self._lock:
            self._lines[name].hosts = f"{done}/{total}"

    def end(self, name: str, state: str, changed: int = 0) -> None:
        """A phase ends as ``converged``, ``unchanged``, ``failed`` or ``interrupted``."""
        with self._lock:
            line = self._lines[name]
            line.state, line.changed, line.ended = state, changed, time.monotonic()
        self._say(f"{MARKS[state]} {line.title} ({self._result(line)}, {clock(line.seconds())})")

    def note(self, text: str) -> None:
        """A sentence that stays on the screen."""
        if self._live:  # a terminal may wrap a line that fills it
            self._live.console.print(text, markup=False, highlight=False, width=self.console.width - 1)
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        if self._live is None:
            self.console.print(f"[{clock(time.monotonic() - self.began):>6}] {text}", markup=False, highlight=False,
                               soft_wrap=True)
