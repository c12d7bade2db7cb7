"""What a plan is told of a task's differences, by Ansible's own side of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casa_install.engine.callbacks import casa_foresight
from casa_install.engine.made import CLUSTER


def told(path: Path, monkeypatch: pytest.MonkeyPatch, action: str, result: dict[str, Any]) -> str:
    """The difference that a changed task comes with."""
    monkeypatch.setenv(casa_foresight.FORESIGHT_FILE, str(path))
    callback = casa_foresight.CallbackModule()
    task = SimpleNamespace(_uuid="1", name="A task", action=action, changed_when=[], check_mode=True, notify=None)
    event = SimpleNamespace(result=result, host=SimpleNamespace(get_name=lambda: "kube-1"), task=task,
                            is_changed=lambda: True)
    if "diff" in result:  # as Ansible does it
        callback.v2_on_file_diff(event)
    callback.v2_runner_on_ok(event)
    [line] = path.read_text().splitlines()
    assert (json.loads(line)["host"], json.loads(line)["outcome"]) == ("kube-1", "changed")
    return str(json.loads(line)["difference"])


def an_object(name: str, *, changed: bool, before: str) -> dict[str, Any]:
    """What the module says of one object."""
    return {"changed": changed, "method": "apply", "diff": {"before": {"data": before}, "after": {"data": "x"}},
            "result": {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "casa-users"}}}


def test_objects_of_the_cluster_differ_each_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = [an_object("one", changed=True, before="by hand"), an_object("two", changed=False, before="untold")]
    said = told(tmp_path / "said", monkeypatch, CLUSTER, {"changed": True, "result": {"results": several}})
    assert said.splitlines()[:2] == ["--- before: ConfigMap casa-users/one", "+++ after: ConfigMap casa-users/one"]
    assert [line for line in said.splitlines()[3:] if line] == [
        " {", '-    "data": "by hand"', '+    "data": "x"', " }"]


def test_one_object_and_a_file_differ_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = told(tmp_path / "one", monkeypatch, CLUSTER, an_object("one", changed=True, before="by hand"))
    assert '-    "data": "by hand"' in said
    said = told(tmp_path / "file", monkeypatch, "ansible.builtin.copy", {
        "changed": True, "result": "of a module", "diff": {"before": "a\n", "after": "b\n", "after_header": "/etc/x"}})
    assert said.splitlines()[1] == "+++ after: /etc/x"
