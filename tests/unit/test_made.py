"""What the journal learns from results of tasks."""

from __future__ import annotations

from typing import Any

import pytest

from casa_install.engine.made import CLUSTER, things


def applied(kind: str, name: str, *, changed: bool = True, method: str = "apply", since: str = "09:00",
            **about: str) -> dict[str, Any]:
    """The result of one object, as the module tells it."""
    metadata = {"name": name, "creationTimestamp": "09:00", **about,
                "managedFields": [{"manager": "kubelet", "time": "09:00"}, {"manager": "casa-install", "time": since}]}
    return {"changed": changed, "method": method, "result": {"kind": kind, "metadata": metadata}}


RECORD = {"record": [{"kind": "file", "name": "/etc/new", "before": "link"}]}
NEW = applied("Namespace", "casa-hub")
OLD = applied("Deployment", "hub", namespace="casa-hub", since="09:05")


@pytest.mark.parametrize(("action", "result", "expected"), [
    ("casa_files", RECORD, [("file", "/etc/new", "link")]),
    ("casa_files", {"results": [RECORD, {"skipped": True}]}, [("file", "/etc/new", "link")]),
    (CLUSTER, NEW, [("Namespace", "casa-hub", "")]),
    (CLUSTER, {"changed": True, "result": {"results": [NEW, OLD]}},
     [("Namespace", "casa-hub", ""), ("Deployment", "casa-hub/hub", "Deployment")]),
    (CLUSTER, {"results": [{"changed": True, "result": {"results": [OLD]}}]},
     [("Deployment", "casa-hub/hub", "Deployment")]),
    (CLUSTER, applied("Namespace", "casa-hub", changed=False), []),
    (CLUSTER, applied("Namespace", "casa-hub", method="delete"), []),
    (CLUSTER, {"changed": True, "censored": "hidden"}, []),
    ("casa_objects", {"objects": [NEW["result"], OLD["result"]]},
     [("Namespace", "casa-hub", ""), ("Deployment", "casa-hub/hub", "Deployment")]),
    ("another.module", {"objects": [NEW["result"]]}, []),
    ("another.module", NEW, []),
    ("ansible.builtin.command", {"changed": True, "results": ["a word"]}, []),
])
def test_what_was_made(action: str, result: dict[str, Any], expected: list[tuple[str, ...]]) -> None:
    assert list(things(action, result)) == expected
