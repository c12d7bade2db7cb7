"""What a run shows on terminals of all sizes, and elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from casa_install.engine.progress import Progress, about, clock
from casa_install.phases import PHASES


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
    with console.capture() as captured:
        console.print(progress._screen())
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
