"""What a host's state is compared by: the record, the words for differences, and what is left out."""

from __future__ import annotations

import gzip
import importlib.machinery
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from casa_install.engine.playbook import Outcome
from casa_install.engine.remains import COMPARED, differences, told

ROOT = Path(__file__).resolve().parents[2]


def _script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("host_state", str(ROOT / "playbooks" / "files" / "host-state"))
    spec = importlib.util.spec_from_loader("host_state", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


SCRIPT = _script()
FILE = ["file", "0644", 0, 0, "aa", ""]
FOLDER = ["folder", "0755", 0, 0, "", ""]


def state(files: dict[str, Any] | None = None, **sections: dict[str, str]) -> dict[str, Any]:
    """A host's state with little in it."""
    named = {name.replace("_", " "): values for name, values in sections.items()}
    return {"files": files or {}, "depths": {}, **{name: {} for name in SCRIPT.SECTIONS}, **named}


def compared(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The script's lines."""
    return list(SCRIPT.differences(old, new))


@pytest.mark.parametrize(("entry", "line"), [
    (["file", "0600", 0, 0, "aa", ""], "~ /etc/a (mode 0600, was 0644)"),
    (["file", "0644", 7, 8, "aa", ""], "~ /etc/a (owner 7:8, was 0:0)"),
    (["file", "0644", 0, 0, "bb", ""], "~ /etc/a (content)"),
    (["link", "0000", 0, 0, "/b", ""], "~ /etc/a (a link, was a file)"),
    (["folder", "0755", 0, 0, "", ""], "~ /etc/a (a folder, was a file)"),
])
def test_every_property_of_a_file_counts(entry: list[Any], line: str) -> None:
    assert compared(state({"/etc/a": FILE}), state({"/etc/a": entry})) == [line]


def test_a_folder_that_came_is_told_with_what_is_in_it() -> None:
    new = state({"/etc/a": FOLDER, "/etc/a/b": FOLDER, "/etc/a/b/c": FILE, "/etc/d": FILE})
    assert compared(state(), new) == ["+ /etc/a with 2 below it", "+ /etc/d"]
    assert compared(new, state()) == ["- /etc/a with 2 below it", "- /etc/d"]


def test_a_package_stands_for_its_files() -> None:
    old = state({"/usr/a": [*FILE[:5], "nginx"]}, package={"nginx": "1 ii", "sed": "1 ii"})
    new = state({"/usr/b": [*FILE[:5], "nginx"]}, package={"nginx": "2 ii", "sed": "1 ii automatic"})
    assert compared(old, new) == ["~ package nginx: 2 ii, was 1 ii", "~ package sed: 1 ii automatic, was 1 ii"]


@pytest.mark.parametrize("section", [name for name in SCRIPT.SECTIONS if name != "kernel setting"])
def test_what_came_went_or_changed_is_told_in_every_section(section: str) -> None:
    old, new = state(**{section: {"a": "1", "b": "1"}}), state(**{section: {"b": "2", "c": "1"}})
    assert compared(old, new) == [f"+ {section} c 1", f"- {section} a 1", f"~ {section} b: 2, was 1"]


def test_settings_that_come_with_modules_are_no_difference() -> None:
    old, new = {"net.a": "1", "net.b": "1"}, {"net.b": "0", "net.c": "1"}
    assert compared(state(kernel_setting=old), state(kernel_setting=new)) == ["~ kernel setting net.b: 0, was 1"]


@pytest.mark.parametrize(("begun", "there"), [(True, False), (False, True)])
def test_a_state_is_kept_once_and_never_after_we_have_begun(tmp_path: Path, begun: bool, there: bool) -> None:
    record = tmp_path / "ours" / "before" / "state.json.gz"
    if begun:
        (tmp_path / "ours" / "begun").mkdir(parents=True)
    if there:
        record.parent.mkdir(parents=True)
        record.write_text("the first")
    SCRIPT.take(record)
    assert record.exists() == there
    assert not there or record.read_text() == "the first"
    assert SCRIPT.compare(tmp_path / "no") == {"known": False, "differences": []}


def test_the_record_is_whole_and_roots_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = tmp_path / "ours" / "before" / "state.json.gz"
    kept = state({"/etc/a": FILE})

    def dies(_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(SCRIPT, "state", dies)
    with pytest.raises(KeyboardInterrupt):
        SCRIPT.take(record)
    assert not record.exists()
    monkeypatch.setattr(SCRIPT, "state", lambda _: kept)
    SCRIPT.take(record)
    assert json.loads(gzip.decompress(record.read_bytes())) == kept
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in record.parent.iterdir()] == [record.name]


def test_data_is_compared_as_deep_as_its_bound_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SCRIPT, "BOUND", 5)
    monkeypatch.setattr(SCRIPT, "_NOT", SCRIPT.re.compile("$^"))
    for folder in range(3):
        for file in range(4):
            (tmp_path / str(folder)).mkdir(exist_ok=True)
            (tmp_path / str(folder) / str(file)).touch()
    found, depth = SCRIPT.walk(str(tmp_path), set(), None, {}, {})
    assert (sorted(found), depth) == ([f"{tmp_path}/{number}" for number in range(3)], 1)
    assert len(SCRIPT.walk(str(tmp_path), set(), 2, {}, {})[0]) == 15


def test_documents_name_every_place_that_is_left_out() -> None:
    text = (ROOT / "docs" / "changes.md").read_text()
    rows = [f"| {', '.join(f'`{place}`' for place in places)} | {why} |" for places, why in SCRIPT.LEFT_OUT]
    table = text.split("| places | why |\n|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == rows
    assert SCRIPT.FOREIGN in text
    assert SCRIPT.MODULES in text


def test_differences_stand_in_the_log_and_the_first_on_the_screen(tmp_path: Path) -> None:
    many = [f"+ /etc/{number:02}" for number in range(20)]
    answers = {"a": (True, []), "b": (True, many), "c": (False, [])}
    outcome = Outcome(results={(host, COMPARED): {"stdout": json.dumps({"known": known, "differences": lines})}
                               for host, (known, lines) in answers.items()})
    found = differences(outcome, tmp_path / "log")
    assert found == {"a": [], "b": many}
    assert (tmp_path / "log").read_text().splitlines() == [f"b: {line}" for line in many]
    said = told(found)
    assert said[:2] == ["1 of 2 hosts are exactly as they were.", "b: + /etc/00"]
    assert "b: and 8 more, which the log has" in said
    assert told({"a": []}) == ["1 of 1 hosts are exactly as they were."]
    assert told({}) == []
