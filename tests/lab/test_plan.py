"""The verb plan on real hosts: it changes nothing, and an apply does what it announces.

The tests of this file run in their order on one site.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from casa_install.rehearsal import hosts
from tests.lab.test_lab import ssh
from tests.lab.test_refusals import picture

ROOT = Path(__file__).resolve().parents[2]
NETWORK = IPv4Network("10.97.12.0/24")
HOSTS = {"node-1": NETWORK[11], "pool-1": NETWORK[12]}
PHASES = "hosts,base,dns,registry"
INVENTORY = f"""\
[kube_control]
node-1 ansible_host={HOSTS['node-1']}
[kube_workers]
pool-1 ansible_host={HOSTS['pool-1']}
[gateway]
pool-1
[condor_manager]
pool-1
[condor_access]
pool-1
[condor_execute]
pool-1
[xcache]
pool-1
[origin]
node-1
[dns]
pool-1
[registry]
pool-1
[all:vars]
casa_site_name=plan
casa_domain=plan.test
casa_network={NETWORK}
casa_public_address={NETWORK[200]}
casa_rehearsal=true
casa_authenticator=dummy
casa_users=["alice"]
casa_xcache_memory=1
"""
STATES = r"""
for unit in $(systemctl list-units --all --plain --no-legend --type=service,socket,timer | cut -d' ' -f1 |
              grep -vE '^(user@|user-runtime-dir@|systemd-tmpfiles-clean)'); do
    echo $unit $(systemctl show --value --property=ActiveState,MainPID $unit)
done"""
"""Every unit with its state and its process, but for those of our own log-in."""

Task = tuple[str, str, str]


class Site:
    """A site of virtual hosts, and the program on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inventory = folder, folder / "site.ini"
        self.inventory.write_text(INVENTORY)
        self.lab = hosts.Lab("plan", NETWORK, HOSTS, "plan.test")

    def run(self, *words: str, status: int = 0) -> str:
        """Standard output of the program."""
        environment = os.environ | {"XDG_CONFIG_HOME": str(self.folder / "config")}
        done = subprocess.run([sys.executable, "-m", "casa_install", *words, "--inventory", str(self.inventory)],
                              cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        print(done.stdout, done.stderr)
        assert done.returncode == status
        return done.stdout

    def planned(self, *words: str) -> dict[str, set[Task]]:
        """What a plan announces (``changes``), and what it says to depend on that (``then``); no host is changed."""
        before = self.seen()
        told: dict[str, Any] = json.loads(self.run("plan", "--only", PHASES, "--json", *words))
        assert "\n".join(sorted(self.seen() ^ before)) == ""
        assert [row for row in told["phases"] if row["failures"]] == []
        return {kind: {(row["phase"], each["host"], each["task"]) for row in told["phases"] for each in row[kind]}
                for kind in ("changes", "then")}

    def applied(self, *words: str) -> set[Task]:
        """What an apply changes, as its journal has it."""
        self.run("apply", "--only", PHASES, *words)
        with closing(sqlite3.connect(self.folder / ".casa" / "journal.sqlite")) as journal:
            return set(journal.execute("select phase, host, task from change where run = (select max(id) from run)"))

    def seen(self) -> set[str]:
        """Every path of every host, and every unit with its process."""
        return {f"{host} {line}" for host in HOSTS
                for line in f"{picture(self.lab, host)}\n{ssh(self.lab, host, STATES)}".splitlines()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site; its hosts run, and nothing is on them."""
    hosts.down("plan")
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        assert "virtual hosts that do not run; an apply boots them" in site.run("plan")
        assert set(site.lab.status().values()) == {"absent"}
        site.run("apply", "--only", "hosts")
        for host in HOSTS:
            ssh(site.lab, host, "systemctl is-system-running --wait")
        yield site
    finally:
        site.lab.down()


def test_a_fresh_site_gets_what_was_announced_and_what_depends_on_it(site: Site) -> None:
    planned = site.planned()
    done = site.applied()
    assert len(planned["changes"]) > 10
    assert planned["changes"] - done == set()
    assert done - planned["changes"] - planned["then"] == set()


def test_on_a_converged_site_there_is_nothing_to_do(site: Site) -> None:
    assert site.planned() == {"changes": set(), "then": set()}


def test_an_apply_does_what_was_announced_after_a_change(site: Site) -> None:
    words = ("-e", 'casa_dns_forwarders=["10.97.12.1"]')
    planned = site.planned(*words)
    assert planned["changes"]
    assert planned["then"] == set()
    assert site.applied(*words) == planned["changes"]


def test_differences_are_shown_but_never_those_of_secrets(site: Site) -> None:
    said = site.run("plan", "--only", "dns,registry")
    assert "10.97.12.1;" in said
    assert "PRIVATE KEY" not in said
    assert "PRIVATE KEY" not in "".join(path.read_text() for path in site.folder.glob(".casa/logs/*/*"))


def test_check_of_an_apply_is_a_plan(site: Site) -> None:
    before = site.seen()
    assert "changes pool-1: BIND's settings are in place" in site.run("apply", "--only", "dns", "--check")
    assert "\n".join(sorted(site.seen() ^ before)) == ""


def marks(site: Site) -> dict[str, str]:
    """Host -> what it was marked with when it was last completed in phase dns."""
    return {host: ssh(site.lab, host, "cat /var/lib/casa-install/phases/dns") for host in HOSTS}


def test_a_limited_apply_marks_no_other_host(site: Site) -> None:
    before = marks(site)
    site.run("apply", "--only", "dns", "--limit", "node-1", "-e", 'casa_dns_forwarders=["10.97.12.2"]')
    after = marks(site)
    assert after["pool-1"] == before["pool-1"]
    assert after["node-1"] != before["node-1"]


@pytest.mark.parametrize(("words", "told"), [
    (("-e", "casa_domian=x"), "-e: casa_domian is not a setting; did you mean casa_domain?"),
    (("--limit", "node-9"), "--limit: node-9 is no host and no group of the inventory; did you mean node-1?"),
])
def test_a_mistake_on_the_command_line_is_told_where_it_is(site: Site, words: tuple[str, ...], told: str) -> None:
    done = subprocess.run([sys.executable, "-m", "casa_install", "plan", "-i", str(site.inventory), *words], cwd=ROOT,
                          text=True, capture_output=True, check=False)
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
