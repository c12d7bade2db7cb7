"""The engine: order, side by side, locks, journal."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from casa_install.engine import connections, estimate, lock, resume, scheduler
from casa_install.engine.history import read_history
from casa_install.engine.journal import Journal
from casa_install.phases import PHASES, phases_of
from casa_install.site.model import Site


def test_jobs_run_after_their_needs_and_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=5)
    order: list[str] = []

    def work(name: str) -> bool:
        if name in ("left", "right"):
            meeting.wait()  # both must be running at once
        order.append(name)
        return True

    needs = {"end": ["left", "right"], "left": ["start"], "right": ["start"], "start": []}
    assert scheduler.run(needs, work, 2) == dict.fromkeys(needs, True)
    assert order[0] == "start"
    assert order[-1] == "end"


def test_after_a_failure_nothing_new_starts_but_what_runs_is_finished() -> None:
    failed = threading.Event()

    def work(name: str) -> bool:
        if name == "bad":
            failed.set()
            return False
        assert failed.wait(5)
        time.sleep(0.1)
        return True

    assert scheduler.run({"slow": [], "bad": [], "later": ["slow"]}, work, 2) == {
        "slow": True, "bad": False, "later": None}


@pytest.mark.parametrize("needs", [{"a": ["b"], "b": ["a"]}, {"a": ["nobody"]}])
def test_impossible_needs_are_refused(needs: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match=r"circle|nobody"):
        scheduler.run(needs, lambda _: True, 2)


def test_every_phase_needs_only_phases_above_it() -> None:
    seen: set[str] = set()
    for phase in PHASES:
        assert set(phase.needs) <= seen, phase.name
        seen.add(phase.name)


def test_phases_on_hosts_have_a_playbook() -> None:
    for phase in PHASES:
        if phase.playbook:
            assert phase.playbook.is_file(), phase.name


def test_a_real_site_lacks_the_rehearsals_phases(rehearsal: Site) -> None:
    iron = rehearsal.model_copy(update={"settings": rehearsal.settings.model_copy(update={"rehearsal": False})})
    names = {p.name for p in phases_of(iron)}
    assert names == {p.name for p in PHASES} - {"hosts", "data", "origin", "reference"}
    assert all(set(p.needs) <= names for p in phases_of(iron))


def test_a_second_run_is_told_who_holds_the_site(tmp_path: Path) -> None:
    program = ("import sys, time\nfrom pathlib import Path\nfrom casa_install.engine import lock\n"
               "with lock.hold(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n")
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "lock")], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(lock.LockedError, match=f"process {holder.pid} on .*, since 20"), \
                lock.hold(tmp_path / "lock"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with lock.hold(tmp_path / "lock"):  # a killed holder leaves nothing stale
        pass


def test_connections_of_killed_runs_are_ended_and_those_of_running_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen(["true"]) as ended:
        pass
    killed = tmp_path / f"casa-ssh-{ended.pid}-abc"
    killed.mkdir()
    (killed / "socket").touch()
    running = connections.Connections()
    connections.end_stale()
    assert [path.name for path in tmp_path.iterdir()] == [running.folder.name]
    running.close()
    assert not running.folder.exists()


def test_the_journal_remembers_across_runs(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.sqlite")
    first.begin_run("apply")
    first.begin_phase("dns")
    first.change("dns", "dns-1", "The zone is served")
    first.end_phase("dns", "converged", 3, "abc")
    first.end_run("converged")
    first.close()
    killed = Journal(tmp_path / "journal.sqlite")
    killed.begin_run("apply")
    killed.begin_phase("dns")
    killed.close()
    later = Journal(tmp_path / "journal.sqlite")
    record = later.newest("dns", "converged")
    assert record is not None
    assert (record.outcome, record.changed, record.fingerprint) == ("converged", 3, "abc")
    assert record.ended is not None
    assert record.ended >= record.started
    last = later.newest("dns")
    assert last is not None
    assert (last.outcome, last.ended) == (None, None)
    assert later.newest("dns", "failed") is None


def test_hosts_are_compared_once_after_each_run_that_changed_them(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.sqlite")) as journal:
        journal.begin_run("apply")
        for host in ("dns-1", "kube-1"):
            journal.change("dns", host, "The zone is served")
        assert journal.uncompared() == {"dns-1", "kube-1"}
        journal.differs("dns-1", ["+ unit named.service enabled active", "+ /etc/bind/casa-install with 2 below it"])
        assert journal.uncompared() == {"kube-1"}
        journal.begin_run("apply")
        assert journal.uncompared() == {"kube-1"}
        journal.change("dns", "dns-1", "The zone is served")
        assert journal.uncompared() == {"dns-1", "kube-1"}
        journal.differs("dns-1", ["+ unit named.service enabled active"])
    assert read_history(tmp_path / "journal.sqlite").differences == {"dns-1": ("+ unit named.service enabled active",)}


def journal_of(path: Path, *runs: Mapping[str, tuple[str | None, int, str, str | None]]) -> Journal:
    """A journal with these runs: phase -> outcome (None: the run was killed in it), changes, step, host."""
    journal = Journal(path / "journal.sqlite")
    for run in runs:
        journal.begin_run("apply")
        for name, (outcome, changed, step, host) in run.items():
            journal.begin_phase(name)
            journal.step(name, step)
            if outcome:
                journal.end_phase(name, outcome, changed, host=host)
    return journal


def test_what_was_not_completed_is_said_in_one_sentence(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, {
        "base": ("converged", 3, "a", None), "dns": ("failed", 1, "The zone is served", "dns-1"),
        "condor": ("interrupted", 2, "Packages are there", None), "images": (None, 0, "hub: building", None)})
    said = resume.sentence(journal, ["base", "dns", "condor", "images", "hub"])
    assert said is not None
    assert re.fullmatch(r'Last time \(20\d\d-\d\d-\d\d \d\d:\d\d\) dns failed on dns-1 at "The zone is served"; '
                        r'condor was stopped at "Packages are there"; images was killed at "hub: building": '
                        r"this run goes on with dns, condor, images\.", said)
    assert resume.sentence(journal, ["base", "hub"]) is None


def test_a_later_completion_ends_the_sentence(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, {"dns": ("failed", 1, "a", "dns-1"), "hub": ("failed", 1, "b", "kube-1")},
                         {"dns": ("unchanged", 0, "", None)})
    said = resume.sentence(journal, ["dns", "hub"])
    assert said is not None
    assert "dns" not in said.replace("dns-1", "")
    assert "hub failed on kube-1" in said


def test_times_are_learned_from_runs_that_had_something_to_do(tmp_path: Path) -> None:
    outcomes = (*(("converged", changed) for changed in (9, 9, 9, 9, 0)), ("unchanged", 0), ("failed", 4))
    records = [(outcome, changed, "", None) for outcome, changed in outcomes]
    journal = journal_of(tmp_path, *({"dns": record} for record in records))
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as database, database:
        for number, took in enumerate((500, 20, 40, 30, 1, 2, 3), 1):
            database.execute("update phase set ended = started + ? where run = ?", (took, number))
    assert journal.seconds("dns") == pytest.approx(30)
    assert journal.seconds("hub") is None


@pytest.mark.parametrize(("workers", "running", "left"), [(1, (), 13), (2, (), 7), (3, (), 6), (1, ("d",), 13)])
def test_the_time_left_is_the_way_through_the_graph(workers: int, running: tuple[str, ...], left: float) -> None:
    needs = {"a": [], "b": ["a"], "c": ["a"], "d": []}
    assert estimate.remaining(needs, {"a": 1, "b": 5, "c": 5, "d": 2}, running, workers) == left


def test_nothing_new_starts_once_the_run_is_stopped() -> None:
    began: list[str] = []

    def work(name: str) -> bool:
        began.append(name)
        return True

    assert scheduler.run({"a": [], "b": ["a"]}, work, 2, lambda: bool(began)) == {"a": True, "b": None}
