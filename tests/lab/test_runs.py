"""Runs that are stopped, killed or fail, and what the next run of the real program makes of them.

The tests of this file go in their order; each run continues what the one before has left.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from casa_install.engine import processes
from casa_install.machine import RUN_MARK
from casa_install.rehearsal import hosts
from tests import engine_site

NETWORK = IPv4Network("10.97.12.0/24")
PATIENCE = 90
ENDS = 10
"""Seconds within which nothing may be left of a run that was stopped at once."""


class Runs:
    """Runs of the program on one site."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        engine_site.prepare(folder)
        self.environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "CASA_CACHE": str(folder / "cache")}
        self.running: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str, verb: str = "apply",
              failing: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program in a process group of its own, as a shell on a terminal does.

        :param failing: phase -> host on which it fails.
        """
        engine_site.clear(self.folder)
        for phase, host in (failing or {}).items():
            (self.folder / f"fail-{phase}").write_text(f"{host}\n")
        command = engine_site.command(self.folder, verb, *arguments)
        self.running.append(subprocess.Popen(command, env=self.environment, text=True, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0))
        return self.running[-1]

    def until(self, *files: str) -> None:
        """Wait until files have been made by tasks."""
        self._wait(lambda: all((self.folder / name).exists() for name in files), f"{files} are not there")

    def until_nothing_is_left(self) -> None:
        """Wait until no process works for the site any more."""
        self._wait(lambda: not engine_site.processes(self.folder), "processes are left", ENDS)

    def _wait(self, met: Callable[[], bool], complaint: str, seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline, f"{complaint}:\n{engine_site.processes(self.folder)}"
            time.sleep(0.05)

    def made(self) -> set[str]:
        """Files that tasks and builds of the last run have made."""
        return {path.name for kind in ("began", "done") for path in self.folder.glob(f"*.{kind}")}

    def newest(self) -> dict[str, tuple[str | None, str | None, str | None]]:
        """Verdict of the newest run (under the name ``run``), and outcome, step and host of its phases."""
        with closing(sqlite3.connect(self.folder / "site" / ".casa" / "journal.sqlite")) as journal:
            number, verdict = journal.execute("select id, verdict from run order by id desc").fetchone()
            rows = journal.execute("select name, outcome, step, host from phase where run = ?", (number,)).fetchall()
        return {"run": (verdict, None, None)} | {name: tuple(rest) for name, *rest in rows}

    def close(self) -> None:
        """Kill what a failed test has left."""
        for program in self.running:
            if program.poll() is None:
                program.kill()
            program.communicate()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """One site for all tests of this file."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    yield runs
    runs.close()


WORKING = ("second-1-exec-1.began", "second-1-exec-2.began", "build-1.began")


def output(program: subprocess.Popen[str]) -> str:
    """All that a run says until it ends."""
    said, _ = program.communicate(timeout=PATIENCE)
    print(said)
    return said


def test_ctrl_c_finishes_what_runs_and_begins_nothing_new(runs: Runs) -> None:
    program = runs.start()
    runs.until(*WORKING)
    os.killpg(program.pid, signal.SIGINT)
    said = output(program)
    assert program.returncode == 130
    assert runs.made() == {
        "first-1-dns-1.began", "first-1-dns-1.done", "first-2-dns-1.began", "first-2-dns-1.done",
        "second-1-exec-1.began", "second-1-exec-1.done", "second-1-exec-2.began", "second-1-exec-2.done",
        "build-1.began", "build-1.done"}
    assert engine_site.processes(runs.folder) == ""
    assert "Ctrl-C: running tasks are finished, then the run stops" in said
    assert 'Stopped by Ctrl-C in build at "thing 1 is built"; second at "Task 2 of second"; the same command goes on ' \
           f"there: casa-install --inventory {runs.folder}/site/site.ini" in said
    assert "failed" not in said
    assert runs.newest() == {
        "run": ("interrupted", None, None), "first": ("converged", "The phase is marked as complete", None),
        "second": ("interrupted", "Task 2 of second", None), "build": ("interrupted", "thing 1 is built", None)}


def test_ctrl_c_twice_stops_at_once(runs: Runs) -> None:
    program = runs.start()
    runs.until(*WORKING)
    os.killpg(program.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(program.pid, signal.SIGINT)
    said = output(program)
    assert program.returncode == 130
    assert not {name for name in runs.made() if name.startswith(("second", "build")) and name.endswith("done")}
    runs.until_nothing_is_left()
    assert 'second was stopped at "Task 2 of second"; build was stopped at "thing 1 is built": this run goes on with ' \
           "second, build." in said
    assert "Everything is stopped now." in said
    assert runs.newest()["second"] == ("interrupted", "Task 1 of second", None)


def test_a_termination_is_a_stop_at_once(runs: Runs) -> None:
    program = runs.start()
    runs.until(*WORKING)
    program.terminate()
    output(program)
    assert program.returncode == 130
    runs.until_nothing_is_left()
    assert runs.newest()["run"] == ("interrupted", None, None)


def test_a_killed_run_leaves_nothing_that_works_beside_the_next(runs: Runs) -> None:
    (runs.folder / "long").write_text("600")
    program = runs.start()
    runs.until(*WORKING)
    program.kill()
    output(program)
    assert "second-1-exec-1" in engine_site.processes(runs.folder), "a killed program cannot end what it started"
    assert runs.newest()["run"] == (None, None, None)
    program = runs.start("--only", "third")
    said = output(program)
    assert program.returncode == 0
    assert "Last time" not in said, "it does not go on with what was killed"
    assert engine_site.processes(runs.folder) == ""
    (runs.folder / "long").write_text(engine_site.LONG)


def test_a_failure_names_where_it_goes_on(runs: Runs) -> None:
    program = runs.start("--only", "second", failing={"second": "exec-2"})
    said = output(program)
    assert program.returncode == 1
    assert 'second was killed at "Task 1 of second": this run goes on with second.' in said
    assert "failed: second on exec-2: Task 1 of second" in said
    assert runs.newest()["second"] == ("failed", "Task 1 of second", "exec-2")


def test_the_next_run_names_where_it_failed_and_killed_and_converges(runs: Runs) -> None:
    program = runs.start("--no-verify")
    said = output(program)
    assert program.returncode == 0
    assert 'second failed on exec-2 at "Task 1 of second"; build was killed at "thing 1 is built": this run goes on ' \
           "with second, build." in said
    assert runs.newest()["third"] == ("converged", "The phase is marked as complete", None)


def test_chosen_phases_run_and_no_other(runs: Runs) -> None:
    for words, ran in ((("--only", "third", "-vv"), {"third"}), (("--from", "second"), {"second", "third"})):
        program = runs.start(*words)
        said = output(program)
        assert program.returncode == 0
        assert "Last time" not in said
        assert "nothing was verified" in said
        assert {name.partition("-")[0] for name in runs.made()} == ran
        assert set(runs.newest()) == {"run", *ran}
        [log, *_] = sorted(runs.folder.glob("site/.casa/logs/*/third.log"), reverse=True)
        assert ("task path: " in log.read_text()) == ("-vv" in words), "the log has what -v asks for"


def test_ctrl_c_stops_a_verification(runs: Runs) -> None:
    program = runs.start()
    runs.until("verify.began")
    os.killpg(program.pid, signal.SIGINT)
    said = output(program)
    assert program.returncode == 130
    assert "Converged: " in said
    assert "Stopped; the same command goes on from here." in said
    assert "Traceback" not in said
    runs.until_nothing_is_left()
    assert runs.newest()["run"] == ("interrupted", None, None)
    with closing(sqlite3.connect(runs.folder / "site" / ".casa" / "journal.sqlite")) as journal:
        assert journal.execute("select count(*) from verification").fetchone() == (0,), "nothing was proved"
    program = runs.start()
    assert "verified: 1 of 1 checks passed" in output(program)
    assert program.returncode == 0


def test_a_virtual_host_is_no_process_of_the_run_that_boots_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_MARK, "lab of the test of runs")
    with subprocess.Popen(["sleep", "60"]) as marked:
        lab = hosts.Lab("runs", NETWORK, {"host-1": NETWORK[11]}, "runs.test")
        try:
            lab.up()
            assert processes.marked("lab of the test of runs") == [marked.pid]
            processes.end("lab of the test of runs")
            assert marked.wait(5) == -signal.SIGTERM
            assert lab.status() == {"host-1": "up"}
        finally:
            marked.kill()
            lab.down()


def test_a_removal_is_stopped_and_gone_on_with_the_same_way(runs: Runs) -> None:
    state = runs.folder / "site" / ".casa"
    program = runs.start("--yes", verb="remove")
    runs.until("remove-1-dns-1.began")
    os.killpg(program.pid, signal.SIGINT)
    said = output(program)
    assert program.returncode == 130
    assert runs.made() == {"remove-1-dns-1.began", "remove-1-dns-1.done"}
    assert f"the same command goes on there: casa-install remove --inventory {runs.folder}/site/site.ini" in said
    assert (state / "journal.sqlite").exists()
    program = runs.start("--yes", verb="remove")
    assert "is gone" in output(program)
    assert program.returncode == 0
    assert not state.exists()
