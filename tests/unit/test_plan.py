"""What a plan makes of tasks in check mode, and what of a site a command line chooses; no host is asked."""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from rich.console import Console

from casa_install import cli
from casa_install.dryrun import verb
from casa_install.dryrun.foresight import Foresight, foreseen, read
from casa_install.dryrun.rehearse import Rehearsed
from casa_install.engine import playbook
from casa_install.engine.journal import Journal
from casa_install.engine.playbook import Listener, Options, Play, Target
from casa_install.facility import Facility
from casa_install.selection import SelectionError, select
from casa_install.site.load import load_site, problems_without
from casa_install.site.problems import InventoryErrors
from tests.unit import site_inventories

COMPUTED = ["thing.stdout != ''"]


def result(task: str, outcome: str, *, says: list[Any] | None = None, looks: bool = False, notify: tuple[str, ...] = (),
           difference: str = "") -> dict[str, Any]:
    """One of a playbook in check mode."""
    return {"host": "a", "task": task, "outcome": outcome, "difference": difference, "changed_when": says or [],
            "looks": looks, "notify": notify, "result": {"msg": f"{task} is missing"}}


def test_what_is_certain_unknown_and_failed_is_told_apart() -> None:
    found = foreseen([
        result("fails at once", "failed"),
        result("look before", "ok", says=COMPUTED, looks=True, notify=("never",)),
        result("only looks", "skipped", says=[False]),
        result("file", "changed", difference="+new\n\n"),
        result("command", "skipped"),
        result("command that says so", "skipped", says=[True]),
        result("nothing", "ok"),
        result("look after", "ok", says=COMPUTED, looks=True, notify=("restart", "file")),
        result("finds out", "skipped", says=COMPUTED),
        result("service", "failed", notify=("reload",)),
    ])
    assert found.changes == {("a", "file"): "+new", ("a", "command"): "", ("a", "command that says so"): ""}
    assert found.unknown == {("a", "look after"): "command that says so", ("a", "restart"): "look after",
                             ("a", "finds out"): "command that says so", ("a", "reload"): "service"}
    assert found.failed == {("a", "fails at once"): ("fails at once is missing", ""),
                            ("a", "service"): ("service is missing", "command that says so")}


def test_a_command_that_finds_out_itself_makes_later_looks_unknown() -> None:
    found = foreseen([result("finds out", "skipped", says=COMPUTED),
                      result("look", "ok", says=COMPUTED, looks=True, notify=("restart",))])
    assert found.unknown == {("a", "finds out"): "", ("a", "look"): "finds out", ("a", "restart"): "look"}


def test_ansible_tells_what_each_task_comes_to_and_no_secret(tmp_path: Path) -> None:
    book, there = tmp_path / "playbook.yml", "{{ inventory_dir }}/made"
    (tmp_path / "t.j2").write_text("from a template\n")
    book.write_text(yaml.safe_dump([{
        "hosts": "all", "gather_facts": False, "ignore_errors": "{{ ansible_check_mode }}", "tasks": [
            {"name": "copies", "ansible.builtin.copy": {"content": "{{ item }}\n", "dest": f"{there}-{{{{ item }}}}"},
             "loop": ["one", "two"]},
            {"name": "template", "ansible.builtin.template": {"src": str(tmp_path / "t.j2"), "dest": there}},
            {"name": "secret", "no_log": True, "ansible.builtin.copy": {"content": "hidden", "dest": there}},
            {"name": "quiet", "diff": False, "ansible.builtin.copy": {"content": "hidden", "dest": there}},
            {"name": "command", "ansible.builtin.command": f"touch {there}"},
            {"name": "not meant", "ansible.builtin.command": f"touch {there}", "when": False},
            {"name": "secret command", "no_log": True, "ansible.builtin.shell": "echo hidden", "register": "said",
             "changed_when": "said.stdout != ''", "notify": "handler"},
            {"name": "secret perhaps", "no_log": True, "ansible.builtin.command": f"touch {there}", "when": False},
            {"name": "secret key", "no_log": True, "ansible.builtin.shell": "echo changed", "check_mode": False,
             "register": "key", "changed_when": "key.stdout != ''", "when": False},
            {"name": "secret look", "no_log": True, "ansible.builtin.command": "true", "changed_when": False,
             "when": False},
            {"name": "look", "ansible.builtin.command": "true", "check_mode": False, "changed_when": False},
            {"name": "fails", "ansible.builtin.command": "false", "check_mode": False},
        ], "handlers": [{"name": "handler", "ansible.builtin.command": "true"}]}]))
    (tmp_path / "hosts.ini").write_text(f"a ansible_connection=local ansible_python_interpreter={sys.executable}\n")
    (tmp_path / "key").write_text("a key")
    vault = VaultLib([("casa", VaultSecret(b"a key"))])
    (tmp_path / "variables").write_bytes(vault.encrypt("{}", vault_id="casa"))
    told = tmp_path / "foresight"
    playbook.run(Target(tmp_path / "hosts.ini", tmp_path / "key", tmp_path / "sockets"), [Play(book)],
                 tmp_path / "variables", tmp_path / "work", tmp_path / "log", Listener(),
                 options=Options(check=True, diff=True), foresight=told)
    found = read(told)
    assert list(found.changes) == [("a", name) for name in ("copies", "template", "secret", "quiet", "command")]
    assert "+one\n" in found.changes["a", "copies"]
    assert found.changes["a", "copies"].endswith("+two")
    assert found.changes["a", "template"] == f"--- before\n+++ after: {tmp_path}/made\n@@ -0,0 +1 @@\n+from a template"
    assert found.changes["a", "secret"] == found.changes["a", "quiet"] == found.changes["a", "command"] == ""
    assert found.unknown == {("a", "secret command"): "command", ("a", "handler"): "secret command",
                             ("a", "secret perhaps"): "command"}
    assert list(found.failed) == [("a", "fails")]
    assert "hidden" not in told.read_text() + (tmp_path / "log").read_text()
    assert list(tmp_path.glob("made*")) == []


# --- words ---

def planned(tmp_path: Path, only: str, found: Rehearsed) -> tuple[list[dict[str, Any]], str]:
    """Rows and last line of a plan whose hosts gave these answers."""
    facility = Facility.open(site_inventories.write(tmp_path, site_inventories.GOOD))
    selected = select(facility.site, options("plan", "--only", only))
    (tmp_path / ".casa").mkdir(exist_ok=True)
    journal = Journal(tmp_path / ".casa" / "journal.sqlite")
    rows = verb.rows_of(facility, selected, found, journal)
    journal.close()
    said = io.StringIO()
    verb._show(rows, found, 60, Console(file=said, width=200))
    return rows, said.getvalue()


def test_what_fails_for_want_of_an_earlier_phase_is_not_known_before_it(tmp_path: Path) -> None:
    fails = Foresight(failed={("dns-1", "service"): ("no such unit", "")})
    rows, said = planned(tmp_path, "base,dns", Rehearsed(foreseen={
        "base": Foresight(changes={("dns-1", "file"): "+new"}), "dns": fails}))
    assert [row["change"] for row in rows] == [
        "runs for the first time; 1 to change", "runs for the first time; 1 not known yet"]
    assert rows[1]["then"] == [{"host": "dns-1", "task": "service", "after": "phase base"}]
    assert "changes dns-1: file\n            +new\n" in said
    assert "unknown dns-1: service (not known before this is done: phase base)" in said
    assert "An apply takes about" in said
    rows, said = planned(tmp_path, "dns", Rehearsed(foreseen={"dns": fails}))
    assert rows[0]["failures"] == [{"host": "dns-1", "task": "service", "message": "no such unit"}]
    assert "fails dns-1: service: no such unit" in said
    assert "An apply would fail. Nothing was changed." in said


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    _, said = planned(tmp_path, "base,dns", Rehearsed(foreseen={"base": Foresight()}, complete={"dns"}))
    assert said.splitlines()[-1] == "There is nothing to do."
    _, said = planned(tmp_path, "dns", Rehearsed(foreseen={"dns": Foresight(unknown={("dns-1", "x"): ""})}))
    assert "unknown dns-1: x (not known before it runs)" in said
    assert "nothing to do" not in said
    _, said = planned(tmp_path, "dns", Rehearsed(refusals=["dns-1: off"]))
    assert "refused: dns-1: off" in said
    assert "An apply would be refused. Nothing was changed." in said


# --- choice ---

def options(*words: str) -> argparse.Namespace:
    """A parsed command line."""
    return cli.parser().parse_args([words[0], "-i", "site.ini", *words[1:]])


def chosen(tmp_path: Path, *words: str) -> tuple[set[str], set[str] | None]:
    """Phases and hosts that a command line chooses."""
    selected = select(site_inventories.load(tmp_path, site_inventories.GOOD), options("apply", *words))
    return {p.name for p in selected.phases}, set(selected.hosts) if selected.hosts is not None else None


def test_tags_are_phases_and_skipped_tags_are_left_out(tmp_path: Path) -> None:
    assert chosen(tmp_path, "--tags", "dns,hub") == ({"dns", "hub"}, None)
    assert chosen(tmp_path, "-t", "dns", "--tags", "hub") == ({"dns", "hub"}, None)
    assert chosen(tmp_path, "--tags", "dns,hub", "--skip-tags", "hub") == ({"dns"}, None)
    assert chosen(tmp_path, "--from", "condor", "--skip-tags", "worker") == ({"condor", "hub"}, None)
    everything, _ = chosen(tmp_path)
    assert chosen(tmp_path, "--skip-tags", "hub") == (everything - {"hub"}, None)
    assert chosen(tmp_path, "--tags", "all", "--skip-tags", "hub", "--skip-tags", "dns") == (
        everything - {"hub", "dns"}, None)


@pytest.mark.parametrize(("pattern", "hosts"), [
    ("exec-1", {"exec-1"}), ("condor_execute", {"exec-1", "exec-2"}), ("condor_execute:!exec-1", {"exec-2"}),
    ("kube-*:&kube_workers", {"kube-2", "kube-3"}), ("dns-1,exec-2", {"dns-1", "exec-2"}),
])
def test_a_limit_means_what_it_means_in_ansible(tmp_path: Path, pattern: str, hosts: set[str]) -> None:
    phases, limited = chosen(tmp_path, "--limit", pattern)
    assert limited == hosts
    assert {"base", "dns"} <= phases
    assert ("registry" in phases) == ("dns-1" in hosts)


@pytest.mark.parametrize(("words", "told"), [
    (("--limit", "exec-9"), "--limit: exec-9 is no host and no group of the inventory; did you mean exec-"),
    (("--limit", "exec-1:!condor_execute"), "--limit: exec-1:!condor_execute means no host"),
    (("--limit", "exec-1", "--only", "registry"), "these options leave nothing to do"),
    (("--skip-tags", "all"), "these options leave nothing to do"),
    (("--tags", "origin"), "origin: phases of rehearsals only; nothing was changed."),
])
def test_a_choice_of_nothing_is_refused(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(SelectionError, match=told.replace("?", "[?]")):
        chosen(tmp_path, *words)


def test_complete_phases_run_when_they_are_chosen_and_only_a_whole_apply_verifies(tmp_path: Path) -> None:
    site = site_inventories.load(tmp_path, site_inventories.GOOD)
    for words, skip, whole in (((), True, True), (("--no-skip",), False, True), (("--tags", "dns"), False, False),
                               (("--limit", "exec-1"), True, False)):
        selected = select(site, options("apply", *words))
        assert (selected.skip, selected.whole) == (skip, whole), words
    assert select(site, options("plan", "-l", "exec-1", "-v", "--verbose")).options == Options(2, True, True, "exec-1")
    assert select(site, options("apply", "-C")).options == Options(check=True)
    assert select(site, options("apply", "-D")).options == Options(diff=True)


def test_extra_variables_overrule_the_inventory_wherever_the_site_is_read(tmp_path: Path) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD.replace("casa_domain=casa.lan\n", ""))
    (tmp_path / "extra.yml").write_text(json.dumps({"casa_users": ["carol"], "casa_admins": [], "ansible_port": 2222}))
    words = ("casa_domain=a.test", f"@{tmp_path / 'extra.yml'}", "casa_domain=b.test")
    site = load_site(inventory, extra=words)
    assert (site.settings.domain, site.settings.users, site.extra) == ("b.test", ("carol",), {"ansible_port": 2222})
    assert problems_without(site, ["exec-1"]) == ()


def test_extra_settings_of_a_host_count_for_execute_points(tmp_path: Path) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    site = load_site(inventory, extra=["casa_condor_cpus=4"])
    assert {host.name: host.settings.condor_cpus for host in site.hosts if host.settings.condor_cpus} == {
        "exec-1": 4, "exec-2": 4}
    assert site.settings == load_site(inventory).settings
    with pytest.raises(InventoryErrors) as refused:
        load_site(inventory, extra=["casa_condor_cpus=0"])
    assert str(refused.value) == "-e: casa_condor_cpus is 0; it should be greater than 0"


@pytest.mark.parametrize(("word", "extra", "home_size"), [
    ("ansible_user=bob ansible_port=22", {"ansible_user": "bob", "ansible_port": 22}, "10Gi"),
    ("ansible_ssh_common_args='-o ProxyJump=gate -4' casa_home_size=20Gi",
     {"ansible_ssh_common_args": "-o ProxyJump=gate -4"}, "20Gi"),
    ("ansible_user=bob\nansible_port=22", {"ansible_user": "bob", "ansible_port": 22}, "10Gi"),
    ("ansible_user={{ lookup('env', 'WHO') }}", {"ansible_user": "{{ lookup('env', 'WHO') }}"}, "10Gi"),
    ('{"casa_home_size": "20Gi", "ansible_port": 22}', {"ansible_port": 22}, "20Gi"),
    ("{casa_home_size: 20Gi, ansible_become: true}", {"ansible_become": True}, "20Gi"),
    ("{}", {}, "10Gi"), ("", {}, "10Gi"),
])
def test_extra_variables_are_written_as_for_ansible(tmp_path: Path, word: str, extra: dict[str, Any],
                                                    home_size: str) -> None:
    site = load_site(site_inventories.write(tmp_path, site_inventories.GOOD), extra=[word])
    assert (site.extra, site.settings.home_size) == (extra, home_size)


@pytest.mark.parametrize("word", ['casa_users=["carol","dave"]', "casa_users='[\"carol\", \"dave\"]'",
                                  '{"casa_users": ["carol", "dave"]}'])
def test_extra_lists(tmp_path: Path, word: str) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    assert load_site(inventory, extra=[word, "casa_admins=[]"]).settings.users == ("carol", "dave")


@pytest.mark.parametrize(("word", "told"), [
    ("casa_domian=x", "-e: casa_domian is not a setting; did you mean casa_domain?"),
    ("home_size=1Gi", "-e: home_size is not a setting; did you mean casa_home_size?"),
    ("ansible_usr=x", "-e: ansible_usr is not a variable of Ansible's own; did you mean ansible_user?"),
    ("thing=x", "-e: thing is neither a setting nor a variable of Ansible's own"),
    ("casa_domain", "-e: casa_domain gives no variable a value; write -e NAME=VALUE, "
                    "-e '{\"NAME\": VALUE}' or -e @FILE"),
    ("ansible_user: bob", "-e: ansible_user: gives no variable a value"),
    ("ansible_user=bob smith", "-e: beside ansible_user there is a word without =; write -e '{\"NAME\": VALUE}', or "
                               "put a value that has spaces into quotation marks of its own"),
    ("ansible_user='bob", "-e: what follows ansible_user= cannot be read; close its quotation or its {{"),
    ("[1]", "-e: does not hold variables; write name: value lines"),
    ('{"casa_home_size": "1GB"}', "-e: casa_home_size is 1GB; write a whole number with Mi, Gi or Ti, such as 10Gi"),
    ('{"casa_home_size"', "-e: is not YAML (expected ',' or '}', but got '<stream end>'); correct the line"),
    ("@none.yml", "none.yml"),
])
def test_a_wrong_extra_variable_is_told_with_its_place(tmp_path: Path, word: str, told: str) -> None:
    inventory = site_inventories.write(tmp_path, site_inventories.GOOD)
    with pytest.raises(InventoryErrors) as refused:
        load_site(inventory, extra=[word])
    assert [problem for problem in refused.value.problems if told in str(problem)]
