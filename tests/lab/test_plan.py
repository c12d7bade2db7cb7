"""The verb plan on real hosts: it changes nothing, and an apply does what it announces.

A site of two virtual hosts has the phases whose work needs no build. The tests of this file run in their order on it.

What is compared: tasks by phase, host and title. Those of a plan's ``changes`` are certain. Those of its ``then`` are
not known before another task is done, which the plan names. Those of an apply are what its journal says that changed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from casa_install.credentials import Credentials
from casa_install.credentials.expiry import secret_values
from casa_install.rehearsal import hosts
from casa_install.site.load import load_site
from tests.lab.test_host_state import asked
from tests.lab.test_lab import ssh
from tests.lab.test_refusals import picture

ROOT = Path(__file__).resolve().parents[2]
NETWORK = IPv4Network("10.97.14.0/24")
HOSTS = {"node-1": NETWORK[11], "pool-1": NETWORK[12]}
PHASES = "base,dns,registry,condor"
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
casa_xcache_memory=1
"""
SETTINGS = "group_vars/all.yml"
SETTINGS_TASK = ("dns", "pool-1", "BIND's settings are in place")
NAMED = "/etc/bind/casa-install/named.conf"
DAEMONS = ("/var/lib/condor", "/var/spool/condor", "/var/cache/bind")
"""Where daemons write by themselves while they run."""
PROCESSES = "systemctl show --property=Id --property=MainPID --property=Type '*.service'"

Task = tuple[str, str, str]


@dataclass
class Plan:
    """What a plan says: phase, host and title of each task."""

    changes: set[Task]
    then: dict[Task, str]
    """What is not known -> what has to be done before."""
    differences: dict[Task, str]
    rows: dict[str, Any]


class Site:
    """A site of virtual hosts, and the program on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inventory = folder, folder / "site.ini"
        self.inventory.write_text(INVENTORY)
        (folder / SETTINGS).parent.mkdir()
        self.write()
        self.lab = hosts.Lab("plan", NETWORK, HOSTS, "plan.test")
        self.records = (f"/run/before-{number}/state/before.json.gz" for number in itertools.count())

    def write(self, **settings: Any) -> None:
        """Write settings beside the inventory."""
        settings = {"casa_users": ["alice"]} | settings
        (self.folder / SETTINGS).write_text("".join(f"{name}: {json.dumps(value)}\n"
                                                    for name, value in settings.items()))

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the program."""
        environment = os.environ | {"XDG_CONFIG_HOME": str(self.folder / "config")}
        done = subprocess.run([sys.executable, "-m", "casa_install", *words, "--inventory", str(self.inventory)],
                              cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                              check=False)
        print(*words, done.stdout, done.stderr, sep="\n")
        return done

    def run(self, *words: str) -> str:
        """Standard output of the program, which does well."""
        done = self.start(*words)
        assert done.returncode == 0
        return done.stdout

    def plan(self, *words: str, closely: bool = False) -> Plan:
        """What a plan announces; no host is changed by it."""
        with self.untouched(closely=closely):
            rows = {row["phase"]: row for row in json.loads(self.run("plan", "--json", *words))["phases"]}
        assert [row for row in rows.values() if row["failures"]] == []

        def tasks(kind: str, value: str) -> dict[Task, str]:
            return {(name, each["host"], each["task"]): each[value] for name, row in rows.items() for each in row[kind]}

        changes = tasks("changes", "diff")
        return Plan(set(changes), tasks("then", "after"), changes, rows)

    def apply(self, *words: str) -> set[Task]:
        """What an apply changes."""
        self.run("apply", *words)
        return self.newest("select phase, host, task from change where run = (select max(id) from run)")

    def newest(self, question: str) -> set[Any]:
        """Rows of the journal."""
        with closing(sqlite3.connect(self.folder / ".casa" / "journal.sqlite")) as journal:
            return set(journal.execute(question))

    @contextlib.contextmanager
    def untouched(self, *, closely: bool) -> Iterator[None]:
        """No file was written and no service restarted; closely: no host differs in anything that a removal undoes."""
        record = next(self.records)
        for host in HOSTS if closely else ():
            ssh(self.lab, host, f"mkdir {Path(record).parent.parent}")
            asked(self.lab, "take", host, record)
        before = self.seen()
        yield
        assert "\n".join(sorted(self.seen() ^ before)) == ""
        for host in HOSTS if closely else ():
            answer = json.loads(asked(self.lab, "compare", host, record))
            told = [line for line in answer["differences"] if not line[2:].startswith(DAEMONS)]
            assert (answer["known"], told) == (True, [])

    def seen(self) -> set[str]:
        """Every path of every host with the time of its last change, and every service with its process."""
        lines = set()
        for host in HOSTS:
            lines |= {f"{host} {line}" for line in picture(self.lab, host).splitlines() if not line.startswith(DAEMONS)}
            for unit in ssh(self.lab, host, PROCESSES).split("\n\n"):
                if "MainPID=0" not in unit and "oneshot" not in unit and "Id=user@" not in unit:
                    lines.add(f"{host} {' '.join(unit.split())}")
        return lines

    def marks(self, phase: str) -> dict[str, str]:
        """Host -> what it was marked with when it was last completed in a phase."""
        return {host: ssh(self.lab, host, f"cat /var/lib/casa-install/phases/{phase}") for host in HOSTS}


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


def test_a_fresh_site_gets_what_was_announced_and_nothing_that_was_not_named(site: Site) -> None:
    planned = site.plan("--only", PHASES, closely=True)
    done = site.apply("--only", PHASES)
    assert len(planned.changes) > 25
    assert planned.changes - done == set(), "what is announced as certain is done"
    assert done - planned.changes == done & set(planned.then), "what else is done was named as not known yet"
    assert ("condor", "pool-1", "HTCondor is enabled and started") in planned.then
    assert all(planned.then.values()), "each with what it waits for"


def test_on_a_converged_site_there_is_nothing_to_do(site: Site) -> None:
    assert site.run("plan", "--only", PHASES).splitlines()[-1] == "There is nothing to do."
    planned = site.plan("--only", PHASES, closely=True)
    assert (planned.changes, planned.then) == (set(), {})
    assert site.apply("--only", PHASES) == set()


def test_complete_phases_are_not_looked_at_unless_they_are_asked_for(site: Site) -> None:
    rows = site.plan().rows
    assert {rows[name]["change"] for name in PHASES.split(",")} == {"complete"}
    assert {rows[name]["seconds"] for name in PHASES.split(",")} == {0}
    assert rows["xcache"]["seconds"] > 0


def test_an_apply_does_what_was_announced_after_a_setting_was_changed(site: Site) -> None:
    site.write(casa_users=["alice", "bob"], casa_dns_forwarders=[str(NETWORK[1])])
    planned = site.plan("--only", PHASES)
    assert f"+    forwarders {{ {NETWORK[1]}; }};" in planned.differences[*SETTINGS_TASK]
    assert {phase for phase, _, _ in planned.changes} == {"dns", "condor"}
    done = site.apply("--only", PHASES, "--diff")
    assert planned.changes - done == set()
    assert done - planned.changes == done & set(planned.then)
    assert {phase for phase, _, _ in planned.then} <= {"condor"}, "of the others everything was known"
    assert f"+    forwarders {{ {NETWORK[1]}; }};" in max(site.folder.glob(".casa/logs/*/dns.log")).read_text()


def test_an_apply_does_what_was_announced_after_a_file_was_changed_by_hand(site: Site) -> None:
    ssh(site.lab, "pool-1", f"echo '// by hand' >> {NAMED}")
    ssh(site.lab, "node-1", "echo '# by hand' >> /etc/resolv.conf")
    planned = site.plan("--only", PHASES)
    assert planned.changes == {SETTINGS_TASK,
                               ("dns", "pool-1", "The name server runs with its settings"),
                               ("dns", "node-1", "The host's resolv.conf names the site's name servers")}
    assert "-// by hand" in planned.differences[*SETTINGS_TASK]
    assert planned.then == {}
    assert f"pool-1: {NAMED} was changed by hand; the changed file is kept as /var/backups" in site.run(
        "plan", "--only", "dns")
    assert site.apply("--only", PHASES) == planned.changes


def test_no_secret_is_shown_or_logged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(site.folder / "config"))  # where the vault's key is
    ssh(site.lab, "pool-1", "for file in /etc/casa-registry/{tls.key,htpasswd} /etc/condor/tokens.d/pool "
        "/etc/condor/passwords.d/POOL; do echo >> $file; done")
    said = site.run("plan", "--only", "registry,condor", "-v")
    assert "changes pool-1: Certificate, key and password are in place" in said
    assert "changes pool-1: The daemons' token is in place" in said
    assert "changes pool-1: Signing keys lie on their host" in said
    loaded = load_site(site.inventory)
    secrets = secret_values(loaded, Credentials(loaded))
    logs = "".join(path.read_text() for path in site.folder.glob(".casa/logs/*/*"))
    assert len(secrets) > 5
    assert [name for secret, name in secrets.items() if secret in said + logs] == []
    done = {task for _, _, task in site.apply("--only", "registry,condor")}
    assert done >= {"Certificate, key and password are in place", "The daemons' token is in place",
                    "Signing keys lie on their host"}


def test_extra_vars_overrule_the_inventory_in_this_run(site: Site) -> None:
    word = f'casa_dns_forwarders=["{NETWORK[2]}"]'
    planned = site.plan("--only", "dns", "-e", word)
    assert f"+    forwarders {{ {NETWORK[2]}; }};" in planned.differences[*SETTINGS_TASK]
    (site.folder / "extra.yml").write_text(word.replace("=", ": "))
    assert site.plan("--only", "dns", "-e", f"@{site.folder / 'extra.yml'}").changes == planned.changes
    assert site.apply("--only", "dns", "-e", word) == planned.changes
    back = site.plan("--only", "dns")
    assert f"-    forwarders {{ {NETWORK[2]}; }};" in back.differences[*SETTINGS_TASK]
    assert site.apply("--only", "dns") == back.changes == planned.changes


def test_check_of_an_apply_is_a_plan_and_diff_shows_differences(site: Site) -> None:
    word = f'casa_dns_forwarders=["{NETWORK[3]}"]'
    with site.untouched(closely=True):
        checked = site.run("apply", "--only", "dns", "--check", "-e", word)
        told = site.run("apply", "--only", "dns", "--check", "--diff", "-e", word)
    for said in (checked, told):
        assert "changes pool-1: BIND's settings are in place" in said
    assert ("forwarders {" in checked, "forwarders {" in told) == (False, True)
    assert told == site.run("plan", "--only", "dns", "-e", word)


def test_limit_works_on_these_hosts_and_marks_no_other(site: Site) -> None:
    site.write(casa_users=["alice", "bob"], casa_dns_forwarders=[str(NETWORK[4])])
    before = site.marks("dns")
    rows = site.plan("--limit", "kube_control:!pool-1").rows
    assert {host for row in rows.values() for host in row["hosts"]} == {"node-1"}
    assert "registry" not in rows
    site.apply("--limit", "node-1", "--only", "dns")
    after = site.marks("dns")
    assert (after["pool-1"] == before["pool-1"], after["node-1"] == before["node-1"]) == (True, False)


def test_tags_and_skip_tags_choose_phases(site: Site) -> None:
    assert set(site.plan("--tags", "dns,registry").rows) == {"dns", "registry"}
    rows = site.plan("--only", PHASES, "--skip-tags", "condor,base").rows
    assert set(rows) == {"dns", "registry"}
    site.apply("--tags", "registry,dns", "--skip-tags", "registry")
    assert site.newest("select name from phase where run = (select max(id) from run)") == {("dns",)}


def test_vault_ids_open_what_is_encrypted(site: Site) -> None:
    password = site.folder / "password"
    password.write_text("of the admin's own\n")
    plain = (site.folder / SETTINGS).read_text()
    vault = VaultLib([("mine", VaultSecret(b"of the admin's own"))])
    (site.folder / SETTINGS).write_bytes(vault.encrypt(plain, vault_id="mine"))
    closed = site.start("plan", "--only", "dns")
    assert closed.returncode == 2
    assert SETTINGS in closed.stderr
    planned = site.plan("--only", "dns", "--vault-id", f"mine@{password}")
    assert (planned.changes, planned.then) == (set(), {})
    assert site.apply("--only", "dns", "--vault-password-file", str(password)) == set()
    (site.folder / SETTINGS).write_text(plain)


def test_verbosity_is_ansibles_in_the_log(site: Site) -> None:
    for words, wordy in (((), False), (("-vv",), True)):
        site.run("plan", "--only", "base", *words)
        log = max(site.folder.glob(".casa/logs/*/base.log"))
        assert ("task path: " in log.read_text()) == wordy


@pytest.mark.parametrize(("words", "told"), [
    (("-e", "casa_domian=x"), "-e: casa_domian is not a setting; did you mean casa_domain?"),
    (("--limit", "node-9"), "--limit: node-9 is no host and no group of the inventory; did you mean node-1?"),
    (("--tags", "dsn"), "'dsn' is no phase; did you mean dns?"),
    (("--vault-id", "mine@prompt"), "nobody is asked for passwords: write the password into a file"),
])
def test_a_mistake_on_the_command_line_is_told_where_it_is(site: Site, words: tuple[str, ...], told: str) -> None:
    done = site.start("plan", *words)
    assert (done.returncode, told in done.stderr) == (2, True)
