"""Runs of the real program on real hosts that are killed, or lose a host, at random moments: the next one goes on.

``CASA_KILLS`` and ``CASA_LOSSES`` say how many; ``CASA_SEED`` repeats the moments of a run that has told its seed.
The undisturbed run comes first; each later site is compared with what it made.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from casa_install.credentials.authority import make_authority
from casa_install.engine import processes
from casa_install.facility import Facility
from casa_install.rehearsal import hosts
from tests import picture, small_site
from tests.lab.test_lab import ssh

KILLS, LOSSES = (int(os.environ.get(name, default)) for name, default in (("CASA_KILLS", "3"), ("CASA_LOSSES", "2")))
SEED = os.environ.get("CASA_SEED") or os.urandom(8).hex()
PATIENCE = 900
Picture = dict[str, dict[str, str]]


class Site:
    """The small site, its program, and what an undisturbed run made of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"XDG_CONFIG_HOME": str(folder / "config"), "CASA_CACHE": str(folder / "cache")}
        os.environ["XDG_CONFIG_HOME"] = self.environment["XDG_CONFIG_HOME"]
        self.facility = Facility.open(small_site.prepare(folder))
        self.lab = self.facility.lab
        self.running: subprocess.Popen[str] | None = None
        self.began = 0.0
        self.earlier = 0
        self.seconds = 0.0
        self.undisturbed: Picture = {}

    def renew(self) -> None:
        """Hosts on which nothing was ever installed; certificates and keys of the site stay."""
        hosts.down(small_site.NAME)
        self.lab.up()

    def start(self) -> None:
        """Begin an apply."""
        self.earlier = self.newest() if (self.folder / ".casa" / "journal.sqlite").exists() else 0
        self.running = subprocess.Popen(small_site.command(self.folder, "apply"), env=self.environment, text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.began = time.monotonic()

    def ends_before(self, moment: float) -> bool:
        """Whether the run has ended some seconds after its start; waits until one of the two is so."""
        assert self.running
        try:
            self.running.wait(max(0, self.began + moment - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def said(self) -> str:
        """All that the run says until it ends."""
        assert self.running
        text, _ = self.running.communicate(timeout=PATIENCE)
        print(text, flush=True)
        return text

    def ends_well(self) -> str:
        """The run that is under way converges, proves the site, and made the same as the undisturbed one."""
        text = self.said()
        assert self.running
        assert self.running.returncode == 0
        assert re.search(r"^verified: (\d+) of \1 checks passed$", text, re.MULTILINE)
        now = self.look()
        unlike = {host: picture.differences(self.undisturbed[host], now[host]) for host in now}
        assert not any(unlike.values()), unlike
        return text

    def look(self) -> Picture:
        """A picture of every host."""
        return {host: picture.of_host(self.lab, host) for host in self.lab.hosts}

    def open_phases(self) -> list[str]:
        """Phases whose newest record says that they were not completed."""
        with closing(sqlite3.connect(self.folder / ".casa" / "journal.sqlite")) as journal:
            rows = journal.execute("select name, outcome, max(run) from phase group by name").fetchall()
        return [name for name, outcome, _ in rows if outcome not in ("converged", "unchanged")]

    def newest(self) -> int:
        """Number of the newest run that the journal knows."""
        with closing(sqlite3.connect(self.folder / ".casa" / "journal.sqlite")) as journal:
            return int(journal.execute("select coalesce(max(id), 0) from run").fetchone()[0])

    def changed(self) -> set[tuple[str, str, str]]:
        """Phase, host and task of all that the run begun last has changed so far; it is not in the journal at once."""
        with closing(sqlite3.connect(self.folder / ".casa" / "journal.sqlite")) as journal:
            return set(journal.execute("select phase, host, task from change where run > ?", [self.earlier]))

    def set(self, old: str, new: str) -> None:
        """Another text in the inventory."""
        inventory = self.folder / "site.ini"
        assert old in inventory.read_text()
        inventory.write_text(inventory.read_text().replace(old, new))

    def close(self) -> None:
        """Nothing is left."""
        if self.running and self.running.poll() is None:
            self.running.kill()
            self.running.communicate()
        processes.end(str(self.facility.site.state))  # a task whose host is lost tries again
        self.facility.close()
        hosts.down(small_site.NAME)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that an undisturbed run has made."""
    site = Site(tmp_path_factory.mktemp("kills"))
    try:
        site.renew()
        site.start()
        text = site.said()
        assert site.running
        assert site.running.returncode == 0
        site.seconds = time.monotonic() - site.began
        assert "Last time" not in text
        site.undisturbed = site.look()
        yield site
    finally:
        site.close()


def goes_on(text: str, stopped: list[str]) -> None:
    """The run has said that it goes on with these phases."""
    for name in stopped:
        assert re.search(rf"^.*Last time \(.*\) .*\b{name} (was killed|failed).*: this run goes on with .*\b{name}\b",
                         text, re.MULTILINE), f"nothing is said of {name}"


def test_a_second_run_is_refused_while_one_works_and_not_after_it_was_killed(site: Site) -> None:
    site.renew()
    site.start()
    lock = site.folder / ".casa" / "lock"
    working = site.running
    assert working
    while not lock.exists() or f'"pid": {working.pid},' not in lock.read_text():
        assert working.poll() is None
        time.sleep(0.05)
    holder = json.loads(lock.read_text())
    second = subprocess.run(small_site.command(site.folder, "apply"), env=site.environment, text=True, check=False,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert second.returncode == 2
    assert "this site is being worked on by {user}'s process {pid} on {machine}, since {since}: ".format(
        **holder) in second.stdout
    working.kill()
    site.said()
    assert json.loads(lock.read_text()) == holder, "the lock of a killed run is stale, and still tells of it"
    site.start()
    site.ends_well()


def test_a_run_that_is_killed_at_any_moment_is_gone_on_with(site: Site) -> None:
    chance = random.Random(f"{SEED} kills")  # noqa: S311 - no secret
    print(f"CASA_SEED={SEED}: {KILLS} kills", flush=True)
    site.renew()
    spent = 0
    stopped: list[str] = []
    while spent < KILLS:
        moment = chance.uniform(0, site.seconds)
        site.start()
        if site.ends_before(moment):
            goes_on(site.ends_well(), stopped)
            stopped = []
            site.renew()
            continue
        assert site.running
        site.running.kill()
        site.said()
        spent, stopped = spent + 1, site.open_phases()
        print(f"kill {spent}, {moment:.1f} s after the start: {', '.join(stopped) or 'no phase'} stopped", flush=True)
    site.start()
    goes_on(site.ends_well(), stopped)


def test_a_run_that_loses_a_host_at_any_moment_names_it_and_is_gone_on_with(site: Site) -> None:
    chance = random.Random(f"{SEED} losses")  # noqa: S311 - no secret
    print(f"CASA_SEED={SEED}: {LOSSES} losses", flush=True)
    site.renew()
    spent = 0
    stopped: list[str] = []
    while spent < LOSSES:
        moment, lost = chance.uniform(0, site.seconds), chance.choice(sorted(site.lab.hosts))
        site.start()
        if site.ends_before(moment):
            goes_on(site.ends_well(), stopped)
            stopped = []
            site.renew()
            continue
        hosts.kill(small_site.NAME, lost)
        text = site.said()
        assert site.running
        spent, stopped = spent + 1, site.open_phases()
        print(f"loss {spent}, {lost} {moment:.1f} s after the start: exit {site.running.returncode}, "
              f"{', '.join(stopped) or 'no phase'} stopped", flush=True)
        hosts.start(small_site.NAME, lost)
        assert "Traceback" not in text
        if site.running.returncode:  # a host that is lost behind its last task and its last check is not missed
            assert re.search(rf"^(refused: {lost} |failed: \S+ on {lost}: |FAILED .*\b{lost}\b)", text, re.MULTILINE)
    site.start()
    goes_on(site.ends_well(), stopped)


@dataclass(frozen=True)
class Restart:
    """A setting, the task that brings it to a host, and the unit that has to be restarted for it."""

    old: str
    new: str
    phase: str
    host: str
    task: str
    unit: str

    def started(self, site: Site) -> int:
        """When the unit started, in microseconds since the host's boot."""
        wanted = "--property ExecMainStartTimestampMonotonic --value"
        return int(ssh(site.lab, self.host, f"systemctl show {self.unit} {wanted}"))


@pytest.mark.parametrize("restart", [
    Restart("casa_xcache_memory=1", "casa_xcache_memory=2",
            "xcache", "xcache-1", "Settings of the cache are in place", "xrootd@xcache"),
    Restart("casa_condor_memory=1024", "casa_condor_memory=1040",
            "condor", "exec-1", "Settings are in place", "condor"),
    Restart("casa_rehearsal=true", 'casa_rehearsal=true\ncasa_xcache_origin_cas=["other.pem"]',
            "origin", "dns-1", "Certificates of the authorities are in place", "xrootd@origin"),
], ids=lambda restart: restart.unit)
def test_what_a_killed_run_has_changed_and_not_restarted_is_restarted(site: Site, restart: Restart) -> None:
    (site.folder / "other.pem").write_text(make_authority("other.test").certificate)
    before = restart.started(site)
    site.set(restart.old, restart.new)
    site.start()
    assert site.running
    while (restart.phase, restart.host, restart.task) not in site.changed():
        assert site.running.poll() is None
        time.sleep(0.05)
    site.running.kill()
    site.said()
    assert restart.started(site) == before, "the run was killed too late"
    site.start()
    text = site.said()
    assert site.running.returncode == 0
    goes_on(text, [restart.phase])
    assert (restart.phase, restart.host, restart.task) not in site.changed()
    assert restart.started(site) > before
