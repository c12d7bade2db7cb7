"""Every role has the same files, says which variables it takes, and refuses wrong ones before it touches a host."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
SKELETON = ("defaults/main.yml", "handlers/main.yml", "meta/argument_specs.yml", "meta/main.yml", "tasks/configure.yml",
            "tasks/install.yml", "tasks/main.yml", "tasks/remove.yml", "tasks/service.yml", "vars/debian.yml")
Spec = dict[str, Any]
"""What a role says of a variable, or of an option inside of one."""
WRONG: dict[str, Any] = {"int": "many", "float": "much", "bool": "perhaps", "list": {"not": "a list"},
                         "dict": ["not a mapping"]}
"""Type -> a value that is none of it; anything may be a string or a path."""
RIGHT: dict[str, Any] = {"str": "a word", "path": "/a/path", "int": 1, "float": 0.5, "bool": True, "dict": {}}
NO_VARIABLES = {"condor_advertise", "condor_master", "condor_pool", "condor_q", "condor_qusers", "condor_status",
                "condor_vacate_job"}
"""HTCondor's own names."""


def entry_points(role: str) -> dict[str, dict[str, Spec]]:
    """Entry point of a role -> the variables that it takes there, as it declares them."""
    declared = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    return {entry: found.get("options") or {} for entry, found in declared["argument_specs"].items()}


def options(role: str) -> dict[str, Spec]:
    """The variables that a role takes at any of its entry points."""
    return {name: spec for entry in entry_points(role).values() for name, spec in entry.items()}


def loaded(path: Path) -> dict[str, Any]:
    """A file of variables."""
    found: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return found


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_every_file_of_the_skeleton(role: str) -> None:
    missing = [name for name in SKELETON if not (ROOT / "roles" / role / name).is_file()]
    assert missing == []


@pytest.mark.parametrize("role", ROLES)
def test_no_variable_of_a_role_hides_one_that_it_takes(role: str) -> None:
    assert set(loaded(ROOT / "roles" / role / "vars" / "debian.yml")) & set(options(role)) == set()


def _registered(tasks: Any) -> Iterator[str]:
    """Names that tasks set themselves: registered results, facts, loop variables, variables of blocks."""
    if isinstance(tasks, list):
        for task in tasks:
            yield from _registered(task)
    elif isinstance(tasks, dict):
        for key, value in tasks.items():
            if key in ("register", "loop_var", "index_var"):
                yield value
            elif key in ("vars", "ansible.builtin.set_fact", "set_fact") and isinstance(value, dict):
                yield from value
            yield from _registered(value)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_declares_all_it_takes_and_takes_all_it_declares(role: str) -> None:
    folder = ROOT / "roles" / role
    sources = [path for path in folder.rglob("*") if path.is_file() and path.suffix in (".yml", ".j2")
               and path.parts[-2] not in ("meta",)]
    text = "\n".join(path.read_text() for path in sources)
    own = {name for path in sources if path.suffix == ".yml" and path.parent.name in ("tasks", "handlers")
           for name in _registered(yaml.safe_load(path.read_text()))}
    own |= set(loaded(folder / "vars" / "debian.yml"))
    used = set(re.findall(rf"(?<![\w./-]){role}_\w+", text))
    templates = set(re.findall(rf"{{%-?\s*(?:set|macro)\s+({role}_\w+)", text))
    modules = {path.stem for path in folder.glob("library/*.py")}
    declared = set(options(role))
    assert used - own - templates - modules - declared - NO_VARIABLES == set(), "used, not declared"
    assert declared - used == set(), "declared, not used"
    assert set(loaded(folder / "defaults" / "main.yml")) <= declared, "a default that is not declared"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_describes_what_it_takes(role: str) -> None:
    assert [name for name, spec in options(role).items() if not spec.get("description")] == []


ENTRIES = [(role, entry) for role in ROLES for entry in entry_points(role)]


@pytest.mark.parametrize("role", ROLES)
def test_what_others_call_of_a_role_has_its_variables_described(role: str) -> None:
    """Ansible looks at the variables of no other entry point; a removal takes those of the role itself."""
    text = "\n".join(path.read_text() for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml"))
    called = set(re.findall(r"tasks_from: (\w+)", text)) - {"remove"}
    assert {"worker", "leave", "forget"} <= called
    there = {path.stem for path in (ROOT / "roles" / role / "tasks").glob("*.yml")}
    assert set(entry_points(role)) == {"main"} | (called & there)


def right(spec: Spec) -> Any:
    """A value that a variable may have."""
    if spec.get("choices"):
        return spec["choices"][0]
    if spec["type"] == "list":
        return [right(spec | {"type": spec["elements"]})]
    if spec.get("options"):
        return {name: right(option) for name, option in spec["options"].items()}
    return RIGHT[spec["type"]]


def wrong(name: str, spec: Spec) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """All that can be wrong with a variable: in words, the names that have to be told, and the variables given."""
    if spec.get("required"):
        yield "is missing", (name,), {}
    if spec["type"] in WRONG:
        yield f"is no {spec['type']}", (name,), {name: WRONG[spec["type"]]}
    if spec.get("elements") in WRONG:
        yield f"holds what is no {spec['elements']}", (name,), {name: [WRONG[spec["elements"]]]}
    if spec.get("choices"):
        yield "is none of its choices", (name,), {name: "none of these"}
    for inner, option in spec.get("options", {}).items():
        others = {other: right(each) for other, each in spec["options"].items() if other != inner}
        for what, names, values in wrong(inner, option):
            yield f"{inner} {what}", (name, *names), {name: [others | values]}


REFUSED = [pytest.param({name: spec}, names, values, id=f"{role} {entry}: {name} {what}") for role, entry in ENTRIES
           for name, spec in entry_points(role)[entry].items() for what, names, values in wrong(name, spec)]


@pytest.mark.parametrize(("specs", "names", "values"), REFUSED)
def test_what_is_wrong_is_refused_by_name(specs: dict[str, Spec], names: tuple[str, ...],
                                          values: dict[str, Any]) -> None:
    messages = ArgumentSpecValidator(specs).validate(values).error_messages
    assert any(all(re.search(rf"\b{name}\b", message) for name in names) for message in messages), messages


@pytest.mark.parametrize(("role", "entry"), ENTRIES)
def test_what_is_right_is_accepted(role: str, entry: str) -> None:
    specs = entry_points(role)[entry]
    values = {name: right(spec) for name, spec in specs.items()}
    needed = {name: value for name, value in values.items() if specs[name].get("required")}
    for given in (values, needed):
        assert ArgumentSpecValidator(specs).validate(given).error_messages == []


def test_every_kind_of_wrong_value_is_among_those_that_are_refused() -> None:
    """Or a change of the specs would leave one untested."""
    found = {re.sub(r".*: \w+ ", "", str(each.id)) for each in REFUSED}
    assert {"is missing", "is no int", "is no float", "is no bool", "is no list", "is no dict", "holds what is no int",
            "holds what is no dict", "is none of its choices", "cidr is missing", "ports is no list",
            "ports holds what is no dict", "issuer is missing"} <= found


def test_ansible_refuses_before_the_roles_first_task(tmp_path: Path) -> None:
    values = {(role, entry): {name: WRONG[spec["type"]] for name, spec in entry_points(role)[entry].items()
                              if spec["type"] in WRONG} for role, entry in ENTRIES}
    play = [{"name": "Wrong types, and nothing else", "hosts": "localhost", "connection": "local",
             "gather_facts": False,
             "tasks": [{"name": f"Role {role} {entry}", "rescue": [{"name": "Refused", "ansible.builtin.meta": "noop"}],
                        "block": [{"name": f"Role {role} {entry}", "vars": given,
                                   "ansible.builtin.include_role": {"name": role, "tasks_from": entry}}]}
                       for (role, entry), given in values.items()]}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    done = subprocess.run(["ansible-playbook", "-i", "localhost,", "play.yml"], cwd=tmp_path, text=True, check=False,
                          capture_output=True, env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                                                                 "ANSIBLE_ROLES_PATH": str(ROOT / "roles"),
                                                                 "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json"})
    tasks = [(task["task"]["name"], task["hosts"].get("localhost", {})) for task in
             json.loads(done.stdout[done.stdout.index("{"):])["plays"][0]["tasks"]]
    ran = [name for name, _ in tasks if "Validating arguments" not in name and name != "Refused"
           and not name.startswith("Role ")]
    assert ran == []
    refused = [result.get("argument_errors", []) for name, result in tasks if "Validating arguments" in name]
    for (role, entry), errors in zip(values, refused, strict=True):
        told = "\n".join(errors)
        specs = entry_points(role)[entry]
        expected = {name for name, spec in specs.items() if name in values[role, entry] or spec.get("required")}
        assert expected, (role, entry)
        assert {name for name in specs if re.search(rf"\b{name}\b", told)} == expected, (role, entry, told)


WRITERS = {f"ansible.builtin.{name}" for name in ("blockinfile", "copy", "file", "lineinfile", "template")}
SAMPLES: dict[str, dict[str, Any]] = {
    "apptainer": {},
    "base": {"base_certificates": {"casa-install-0.crt": "a certificate"},
             "base_anchored": {"files": [{"path": "/usr/local/share/ca-certificates/casa-install-1.crt"}]}},
    "cilium": {},
    "condor": {},
    "containerd": {},
    "dns": {"dns_zones": {"site.test": "a zone", "10.in-addr.arpa": "another"}, "dns_found_forwarders": ["a server"]},
    "docker": {},
    "kubernetes": {"kubernetes_hosts": {}},
    "origin": {},
    "registry": {"registry_hash": {"stdout": "a hash"}},
    "resolver": {f"resolver_has_{name}": True for name in ("manager", "dhcpcd", "dhclient")},
    "storage": {"storage_remove_volumes": True},
    "xcache": {},
    "xrootd": {"xrootd_authorities": {"casa-site": "a certificate"},
               "xrootd_hashes": {"results": [{"item": {"key": "casa-site"}, "stdout_lines": ["0123abcd", "a name"]}]}},
}
"""Role -> variables whose names or numbers decide what it writes, or that its tasks set."""
CASES = {"resolver": [{"resolver_link": link} for link in ("", "/run/systemd/resolve/")]}
"""Role that claims one thing or another -> variables that decide which."""


def trusted(path: Path) -> Any:
    """A file of a role, whose templates may be rendered."""
    return DataLoader().load_from_file(str(path), trusted_as_template=True) or {}


def _tasks(role: str) -> Iterator[dict[str, Any]]:
    """Tasks of a role on its hosts, those of blocks too, but not those of its removal."""
    def flat(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for task in tasks:
            yield task
            yield from flat(task.get("block", []))

    for file in (ROOT / "roles" / role / "tasks").glob("*.yml"):
        if file.stem != "remove":
            yield from (task for task in flat(trusted(file)) if task.get("delegate_to") != "localhost")


def _written(role: str, variables: dict[str, Any]) -> Iterator[str]:
    """Paths that a role's modules write."""
    for task in _tasks(role):
        known = variables | task.get("vars", {})
        for module in WRITERS & set(task):
            for item in Templar(DataLoader(), known).template(task.get("loop", [None])):
                templar = Templar(DataLoader(), known | {"item": item})
                yield templar.template(task[module].get("dest") or task[module].get("path"))


def _claimed(role: str, variables: dict[str, Any]) -> Iterator[str]:
    """Paths that a role claims."""
    found: dict[str, Any] = {"xrootd_unnamed": {"stdout_lines": []}, "xrootd_settings": {}}
    for task in _tasks(role):
        for part in ("paths", "data"):
            claimed = task.get("casa_files", {}).get(part, [])
            yield from Templar(DataLoader(), variables | found).template(claimed)


@pytest.mark.parametrize("role", SAMPLES)
def test_a_role_claims_all_that_it_writes(role: str) -> None:
    given = trusted(ROOT / "roles" / role / "vars" / "debian.yml")
    variables = dict.fromkeys(options(role), "a sample") | given | SAMPLES[role]
    claimed = {path for case in CASES.get(role, [{}]) for path in _claimed(role, variables | case)}
    written = set(_written(role, variables)) - {"/var/lib/casa-install"}  # the record's own folder
    assert written, "it writes something"
    assert written - claimed == set()


def test_roles_that_write_on_hosts_are_all_looked_at() -> None:
    assert {role for role in ROLES if any(WRITERS & set(task) for task in _tasks(role))} == set(SAMPLES)


@pytest.mark.parametrize("role", SAMPLES)
def test_what_a_role_has_made_is_recorded_and_undone(role: str) -> None:
    main = trusted(ROOT / "roles" / role / "tasks" / "main.yml")
    assert main[-1]["casa_files"] == {"role": role, "state": "settled"}
    removal = trusted(ROOT / "roles" / role / "tasks" / "remove.yml")
    [given] = [task["casa_files"] for task in removal if "casa_files" in task]
    assert given | {"staying": ""} == {"role": role, "state": "absent", "staying": ""}


@pytest.mark.parametrize("role", SAMPLES)
def test_a_host_that_a_role_refuses_has_nothing_claimed(role: str) -> None:
    """Or what its own daemons write would count as ours."""
    main = trusted(ROOT / "roles" / role / "tasks" / "main.yml")
    order = [module for task in main for module in ("casa_packages", "casa_files") if module in task]
    refuses = any("daemon" in task.get("casa_packages", {}) for task in _tasks(role))
    assert order[0] == "casa_packages" or not refuses


def _notifying(tasks: Any) -> Iterator[dict[str, Any]]:
    """Tasks that notify a handler, those of blocks too."""
    for task in tasks or ():
        yield from _notifying(task.get("block"))
        if "notify" in task:
            yield task


@pytest.mark.parametrize("role", ROLES)
def test_what_a_killed_run_has_not_restarted_the_next_one_restarts(role: str) -> None:
    """A handler hangs on a comparison of times, never on a change: the next run would not see that one."""
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        for task in _notifying(loaded(path)):
            command = task.get("ansible.builtin.shell", {}).get("cmd", "")
            assert "-newer" in command, f"{path.name}: {task['name']}"


FIND_OUT_THEMSELVES = {
    "Older worker images that no job uses are gone",  # docker refuses those that are in use
    "The control plane is up", "Nodes are told from hosts that have yet to join", "Nodes carry their labels and taints",
}
"""Commands that do the work that they look for, so that a plan cannot have their answer."""


def _all_tasks(node: Any) -> Iterator[dict[str, Any]]:
    for each in node if isinstance(node, list) else ():
        yield each
        yield from _all_tasks(each.get("block"))


@pytest.mark.parametrize("role", ROLES)
def test_what_only_looks_looks_in_check_mode_too(role: str) -> None:
    removal = {"remove", "leave", "forget"}
    files = [path for path in (ROOT / "roles" / role / "tasks").iterdir() if path.stem not in removal]
    computed = {task["name"] for file in files for task in _all_tasks(yaml.safe_load(file.read_text()))
                if isinstance(task.get("changed_when"), str) and task.get("check_mode") is not False}
    assert computed - FIND_OUT_THEMSELVES == set()
