"""A run of the real engine on a terminal of 24 lines and 80 columns."""

from __future__ import annotations

import os
import re
from contextlib import closing

import pexpect
import pytest

from casa_install.engine.journal import Journal
from casa_install.engine.progress import MARKS
from tests import engine_site
from tests.unit.terminal import REFRESH, Terminal

TITLES = [phase.title for phase in engine_site.TABLE]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that a run writes to its terminal; the run before it has failed."""
    if os.geteuid() != 0:
        pytest.skip("the phases' marks lie in a mount namespace, which needs root")
    folder = tmp_path_factory.mktemp("site")
    engine_site.prepare(folder)
    (folder / "long").write_text("1")
    with closing(Journal(folder / "site" / ".casa" / "journal.sqlite")) as journal:
        journal.begin_run("apply")
        journal.begin_phase("second")
        journal.step("second", "A task whose title makes the sentence of where it stopped longer than a line")
        journal.end_phase("second", "failed", 0, host="exec-2")
        journal.end_run("failed")
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    command, *arguments = engine_site.command(folder, "apply", "--no-verify")
    environment |= {"TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder / "config"),
                    "CASA_CACHE": str(folder / "cache")}
    with closing(pexpect.spawn(command, arguments, dimensions=(24, 80), encoding="utf-8", timeout=90,
                               env=environment)) as program:
        program.expect(pexpect.EOF)
    assert program.exitstatus == 0, program.before
    return str(program.before)


def test_nothing_is_cleared_and_each_refresh_leaves_all_phases_on_the_screen(said: str) -> None:
    screen = Terminal()
    first, *refreshes = said.split(REFRESH)
    screen.write(first)
    assert len(refreshes) > 10, "the clock goes on while tasks run"
    for refresh in refreshes:
        screen.write(REFRESH + refresh)
        assert [sum(title in line for line in screen.lines) for title in TITLES] == [1] * len(TITLES), screen.lines
    assert screen.widest < 80, "a terminal may wrap a line that fills it"
    assert screen.cursor_shown


def test_phases_side_by_side_say_each_what_it_does(said: str) -> None:
    screen = Terminal()
    seen = set()
    for refresh in said.split(REFRESH):
        screen.write(REFRESH + refresh)
        seen.add("\n".join(line for line in screen.lines if line.startswith("▸")))
    both = re.compile(r"▸ +0:\d\d (~0:0\d|     ) +The second is true +[012]/2 Task 1 of second\n"
                      r"▸ +0:\d\d (~0:0\d|     ) +Things are built +thing [12] is built")
    assert any(both.fullmatch(frame) for frame in seen), seen


def test_what_was_said_stays_above_the_phases_and_each_of_them_is_there_once(said: str) -> None:
    screen = Terminal()
    screen.write(said)
    lines = [" ".join(line.split()) for line in screen.lines]
    begin = next(number for number, line in enumerate(lines) if line[:1] in MARKS.values())
    assert re.fullmatch(r'Last time \(.*\) second failed on exec-2 at "A task whose title makes the sentence of where '
                        r'it stopped longer than a line": this run goes on with second\.', " ".join(lines[:begin]))
    assert begin > 1, "it takes more than a line"
    assert [re.sub(r"\b\d:\d\d ", "", line) for line in lines[begin:]] == [
        "= Hosts can be worked on unchanged", "✔ The first is true 2 changed", "✔ The second is true 4 changed",
        "✔ Things are built 2 changed", "✔ The third is true 2 changed", "= What came to the hosts is noted unchanged",
        "The whole run", "Converged: 10 changed.", "", "Users log in at https://hub.casa.lan/", ""]
