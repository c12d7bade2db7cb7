"""What a run shows on terminals of all sizes, and elsewhere."""

from __future__ import annotations

import io
import re
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from casa_install.engine import progress as progress_module
from casa_install.engine.progress import MARKS, Progress, about, clock
from casa_install.phases import PHASES
from tests.unit.lived_site import Clock
from tests.unit.terminal import REFRESH, Terminal


def shown(width: int, height: int, done: int, running: tuple[str, ...]) -> list[str]:
    """The screen's lines when so many phases of the table are complete and others run."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, legacy_windows=False)
    progress = Progress(console, 3)
    for phase in PHASES:
        progress.plan(phase.name, phase.title, phase.needs, phase.seconds)
    for phase in PHASES[:done]:
        progress.start(phase.name)
        progress.end(phase.name, "converged", 3)
    for name in running:
        progress.start(name)
        progress.step(name, "A step whose title is much longer than what is left of a line of eighty columns")
        progress.hosts(name, 2, 9)
    return lines_of(progress)


def lines_of(progress: Progress) -> list[str]:
    """The lines of a progress' screen as they are now."""
    with progress.console.capture() as captured:
        progress.console.print(progress._screen())
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.get()).splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("height", [8, 12, 24, 50])
@pytest.mark.parametrize(("done", "running"), [(0, ("hosts",)), (7, ("condor", "kubernetes")), (17, ("reference",))])
def test_the_screen_fits_the_terminal_and_shows_what_runs(
    width: int, height: int, done: int, running: tuple[str, ...],
) -> None:
    lines = shown(width, height, done, running)
    assert len(lines) < height
    assert max(map(len, lines)) < width, "a terminal may wrap a line that fills it"
    for name in running:
        title = next(phase.title for phase in PHASES if phase.name == name)
        [line] = [line for line in lines if line.startswith("▸") and title in line]
        assert "2/9 A" in line
        assert line.endswith("…") == (width < 200)
    assert re.fullmatch(r" +0:00 +(~[\d:]+ +)?The whole run *", lines[-1])
    if height > len(PHASES) + 2:
        assert len(lines) == len(PHASES) + 1


def test_what_does_not_fit_is_counted() -> None:
    lines = shown(80, 12, 7, ("condor",))
    assert any("7 more are complete" in line for line in lines)
    [waiting] = [line for line in lines if "more wait" in line]
    assert int(re.findall(r"\d+", waiting)[0]) == len(PHASES) - 7 - 1 - (len(lines) - 4)


def test_the_time_left_counts_side_by_side() -> None:
    [*_, total] = shown(80, 50, 0, ())
    alone = sum(phase.seconds for phase in PHASES)
    found = re.search(r"~(\d+):(\d\d)", total)
    assert found
    assert 0 < int(found[1]) * 60 + int(found[2]) < alone


def test_phases_side_by_side_have_each_their_times_step_and_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Clock(1000)
    monkeypatch.setattr(progress_module, "time", SimpleNamespace(monotonic=now))
    progress = Progress(Console(file=io.StringIO(), force_terminal=True, width=80, height=24), 3)
    for name, needs, seconds in (("pool", (), 120), ("cache", (), 30), ("hub", ("pool", "cache"), 60)):
        progress.plan(name, f"The {name} is up", needs, seconds)
    progress.start("pool")
    progress.step("pool", "Packages are there")
    progress.hosts("pool", 2, 3)
    now.now += 45
    progress.start("cache")
    progress.step("cache", "The certificate is there")
    progress.hosts("cache", 0, 1)
    now.now += 20
    assert lines_of(progress) == [
        "▸  1:05 ~0:55  The pool is up  2/3 Packages are there",
        "▸  0:20 ~0:10  The cache is up 0/1 The certificate is there",
        "·       ~1:00  The hub is up   ",
        "   1:05 ~1:55  The whole run   "]
    progress.step("cache", "The daemon runs")
    progress.hosts("pool", 3, 3)
    now.now += 20
    assert lines_of(progress) == [
        "▸  1:25 ~0:35  The pool is up  3/3 Packages are there",
        "▸  0:40        The cache is up The daemon runs",
        "·       ~1:00  The hub is up   ",
        "   1:25 ~1:35  The whole run   "], "what takes longer than expected has no time left to show"
    progress.end("cache", "converged", 4)
    now.now += 3600
    assert lines_of(progress) == [
        "▸ 1:01:25        The pool is up  3/3 Packages are there",
        "✔    0:40        The cache is up 4 changed",
        "·         ~1:00  The hub is up   ",
        "  1:01:25 ~1:00  The whole run   "], "what has ended keeps its time"


class Writes(io.StringIO):
    """A file that knows its content write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[str] = []

    def write(self, text: str) -> int:
        self.each.append(text)
        return super().write(text)


def test_nothing_is_gone_between_two_writes_and_notes_stand_above_the_phases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows what it has after any write: what is erased in one and drawn by the next one flickers."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    file, screen = Writes(), Terminal(80, 24)
    progress = Progress(Console(file=file, force_terminal=True, width=80, height=24), 3)
    for phase in PHASES:
        progress.plan(phase.name, phase.title, phase.needs, phase.seconds)
    notes = [f"The {n + 1}. of all these notes is a sentence that does not fit into a line of eighty columns."
             for n in range(len(PHASES))]
    with progress:
        for phase, note in zip(PHASES, notes, strict=True):
            progress.start(phase.name)
            progress.step(phase.name, "A step whose title is much longer than what is left of a line of eighty columns")
            time.sleep(0.05)  # the screen is refreshed meanwhile, too
            progress.note(note)
            progress.end(phase.name, "unchanged")
    refreshes = 0
    for text in file.each:
        screen.write(text)
        refreshes += REFRESH in text
        shown = [line for line in screen.lines[-24:] if "The whole run" in line or line[:1] in MARKS.values()]
        if refreshes:
            assert len(shown) == len(PHASES) + 1, screen.lines
            assert all(phase.title in line for phase, line in zip(PHASES, shown, strict=False)), shown
    assert refreshes > len(PHASES)
    said = [line for line in screen.lines if line and line not in shown]
    assert " ".join(" ".join(said).split()) == " ".join(notes)
    assert [line for line in screen.lines if line][-len(shown):] == shown, "notes are above"
    assert screen.widest < 80
    assert screen.cursor_shown


@pytest.mark.parametrize(("terminal", "environment"), [
    (False, {}), (True, {"NO_COLOR": "1"}), (True, {"TERM": "dumb"})])
def test_elsewhere_there_are_plain_lines_with_times(
    terminal: bool, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = io.StringIO()
    progress = Progress(Console(file=file, force_terminal=terminal, width=40, highlight=False))
    progress.plan("dns", "The site's names resolve", (), 90)
    with progress:
        progress.start("dns")
        progress.step("dns", "The zone is served")
        progress.note("A sentence that is much longer than the terminal is wide")
        progress.end("dns", "failed")
    assert file.getvalue().splitlines() == [
        "[  0:00] The site's names resolve … (takes about 2 min)",
        "[  0:00] A sentence that is much longer than the terminal is wide",
        "[  0:00] ✘ The site's names resolve (failed, 0:00)"]


def test_times_are_written_as_people_read_them() -> None:
    assert [clock(s) for s in (5, 65, 3599.9, 3600, 7325)] == ["0:05", "1:05", "59:59", "1:00:00", "2:02:05"]
    assert [about(s) for s in (1, 42, 59, 60, 95, 1800)] == ["5 s", "40 s", "60 s", "1 min", "2 min", "30 min"]
