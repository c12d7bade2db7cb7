"""One real ansible-playbook on this machine: what its listener hears and what its log holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret

from casa_install.engine import playbook
from casa_install.engine.playbook import Listener, Options, Outcome, Play, Target

SECRET = "open-sesame-4711"  # noqa: S105 - the test's own


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A playbook that handles a secret, on two hosts; one of them skips the second task."""
    (tmp_path / "playbook.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [
        {"name": "The secret is used", "no_log": True, "ansible.builtin.shell": {
            "cmd": "cat > {{ inventory_dir }}/got-{{ inventory_hostname }}", "stdin": "{{ the_secret }}"}},
        {"name": "One host goes on", "ansible.builtin.command": "true", "when": "inventory_hostname == 'a'",
         "changed_when": False},
        {"name": "Secrets are used in turn", "no_log": True, "ansible.builtin.command": "echo {{ item }}",
         "loop": ["{{ the_secret }}", "{{ the_secret }}"], "changed_when": "inventory_hostname == 'b'"},
    ]}]))
    return tmp_path / "playbook.yml"


def run(book: Path, listener: Listener, **options: object) -> tuple[Outcome, str]:
    """Outcome and log of the playbook."""
    folder = book.parent
    here = f"ansible_connection=local ansible_python_interpreter={sys.executable}"
    (folder / "hosts.ini").write_text(f"a {here}\nb {here}\n")
    (folder / "key").write_text("a key")
    vault = VaultLib([("casa", VaultSecret(b"a key"))])
    (folder / "variables").write_bytes(vault.encrypt(json.dumps({"the_secret": SECRET}), vault_id="casa"))
    target = Target(folder / "hosts.ini", folder / "key", folder / "sockets")
    outcome = playbook.run(target, [Play(book)], folder / "variables", folder / "work", folder / "log", listener,
                           **options)  # type: ignore[arg-type]
    return outcome, (folder / "log").read_text()


def test_hosts_and_changes_are_heard_and_no_verbosity_shows_a_secret(book: Path) -> None:
    heard: list[str] = []
    changed: set[tuple[str, str]] = set()
    outcome, log = run(book, Listener(task=heard.append, hosts=lambda done, total: heard.append(f"{done}/{total}"),
                                      changed=lambda host, task: changed.add((host, task))),
                       options=Options(verbosity=4))
    assert outcome.ok
    assert outcome.changed == 3
    assert changed == {("a", "The secret is used"), ("b", "The secret is used"), ("b", "Secrets are used in turn")}
    assert [(book.parent / f"got-{host}").read_text().strip() for host in "ab"] == [SECRET, SECRET]
    first, second = heard.index("The secret is used"), heard.index("One host goes on")
    third = heard.index("Secrets are used in turn")
    assert [heard[second - 1], heard[third - 1]] == ["2/2", "2/2"], "a host that skips a task has done with it"
    assert set(heard[first + 1:second]) >= {"0/1", "2/2"}
    assert "ESTABLISH LOCAL CONNECTION" in log, "the log has what -vvvv asks for"
    left = [path for path in book.parent.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert {path.name for path in left} == {"got-a", "got-b"}


def test_a_stop_file_ends_it_before_a_task(book: Path) -> None:
    stop = book.parent / "stop"
    heard: list[str] = []
    # the first task ends once the end is asked for, however late the listener hears of it
    waits = "until test -e {{ inventory_dir }}/stop; do sleep 0.1; done"
    book.write_text(book.read_text().replace("cmd: cat", f"cmd: {waits}; cat"))

    def task(title: str) -> None:
        heard.append(title)
        stop.touch()

    outcome, _ = run(book, Listener(task=task, changed=lambda host, _task: heard.append(host)), stop=stop)
    assert (outcome.ok, outcome.stopped, outcome.failures) == (False, True, [])
    assert heard[0] == "The secret is used"
    assert sorted(heard[1:]) == ["One host goes on", "a", "b"], "the first task was finished on both hosts"


def test_what_a_module_records_and_warns_of_is_heard(book: Path) -> None:
    library = book.parent / "work" / "library"
    library.mkdir(parents=True)
    (library / "maker.py").write_text(
        "from ansible.module_utils.basic import AnsibleModule\n"
        "module = AnsibleModule({})\n"
        "module.warn('a: /etc/old stays')\n"
        "module.exit_json(record=[{'kind': 'file', 'name': '/etc/new', 'before': 'link'}])\n")
    book.write_text(yaml.safe_dump([{"hosts": "a", "gather_facts": False, "tasks": [
        {"name": "Something is made", "maker": {}}]}]))
    made: list[tuple[str, ...]] = []
    warned: list[str] = []
    outcome, _ = run(book, Listener(made=lambda *thing: made.append(thing), warned=warned.append))
    assert outcome.ok
    assert made == [("a", "file", "/etc/new", "link")]
    assert warned == ["a: /etc/old stays"]
