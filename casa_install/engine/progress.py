"""What a run shows: one live line a phase on a terminal, plain lines with times elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

MARKS = {"waiting": "·", "running": "▸", "converged": "✔", "unchanged": "=", "failed": "✘"}
STYLES = {"waiting": "dim", "running": "cyan", "converged": "green", "unchanged": "dim green", "failed": "bold red"}


@dataclass
class _Line:
    title: str
    state: str = "waiting"
    step: str = ""
    changed: int = 0
    began: float = 0.0
    ended: float = 0.0

    def seconds(self) -> float:
        if not self.began:
            return 0.0
        return (self.ended or time.monotonic()) - self.began


def clock(seconds: float) -> str:
    """Seconds as ``m:ss``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """Shows a run; every method may be called from any thread."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._table, console=self.console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.__exit__(None, None, None)
            self._live = None

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(width=5, justify="right")
        table.add_column(width=38, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        with self._lock:
            for line in self._lines.values():
                detail = line.step if line.state == "running" else self._result(line)
                table.add_row(Text(MARKS[line.state], style=STYLES[line.state]),
                              clock(line.seconds()) if line.began else "", line.title, Text(detail, style="dim"))
        return table

    @staticmethod
    def _result(line: _Line) -> str:
        if line.state == "converged":
            return f"{line.changed} changed"
        return line.state if line.state in ("unchanged", "failed") else ""

    def plan(self, name: str, title: str) -> None:
        """Announce a phase."""
        with self._lock:
            self._lines[name] = _Line(title)

    def start(self, name: str) -> None:
        """A phase begins."""
        with self._lock:
            line = self._lines[name]
            line.state, line.began = "running", time.monotonic()
        self._say(f"{line.title} …")

    def step(self, name: str, step: str) -> None:
        """A phase does something."""
        with self._lock:
            line = self._lines[name]
            fresh = step != line.step
            line.step = step
        if fresh and not line.title.startswith(step):
            self._say(f"    {name}: {step}", detail=True)

    def end(self, name: str, state: str, changed: int = 0) -> None:
        """A phase ends as ``converged``, ``unchanged`` or ``failed``."""
        with self._lock:
            line = self._lines[name]
            line.state, line.changed, line.ended = state, changed, time.monotonic()
        self._say(f"{MARKS[state]} {line.title} ({self._result(line)}, {clock(line.seconds())})")

    def tell(self, text: str) -> None:
        """Say something that stays on the screen above the phases."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _say(self, text: str, detail: bool = False) -> None:
        if self._live is None and not detail:
            self.console.print(f"[{clock(time.monotonic() - self.began):>6}] {text}", markup=False, highlight=False)
