"""Ansible's side of a plan: writes what each task in check mode comes to, a line of JSON for each host."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

from casa_install.engine.made import CLUSTER, applied, named, singles

FORESIGHT_FILE = "CASA_INSTALL_FORESIGHT"
"""Name of the variable of the environment that names the file; without it nothing is written."""
WOULD_RUN = "Command would have run if not in check mode"
"""Ansible's words for a command that check mode skips."""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes what the runner's events leave out: which tasks check mode skips, and what a task says of itself."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "casa_foresight"

    def __init__(self) -> None:
        super().__init__()
        self._file = os.environ.get(FORESIGHT_FILE)
        self._differences: dict[tuple[str, str], str] = {}

    def v2_on_file_diff(self, result: Any) -> None:
        """Before the result itself, for each item; never called for what is not to be shown."""
        if self._file and (text := self._text(singles(result.result))):
            self._differences[_key(result)] = self._differences.get(_key(result), "") + text

    def v2_runner_on_ok(self, result: Any) -> None:
        """A task that did not fail."""
        self._write("changed" if result.is_changed() else "skipped" if _would_run(result) else "ok", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """A condition that is not met is no outcome; check mode is one. A secret's result does not say which it was.

        Check mode skips no look.
        """
        hidden = (result.result.get("censored") and result.task.check_mode is not False
                  and result.task.action.rpartition(".")[2] in ("command", "shell"))
        if _would_run(result) or (hidden and not result.task.when):
            self._write("skipped", result)
        elif hidden:
            self._write("untold", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A task that failed, whatever follows from it."""
        del ignore_errors
        self._write("failed", result)

    def _write(self, outcome: str, result: Any) -> None:
        if not self._file:
            return
        task = result.task
        line = {"host": result.host.get_name(), "task": task.name, "outcome": outcome,
                "difference": self._differences.pop(_key(result), "") or self._of_objects(result),
                "changed_when": task.changed_when, "looks": task.check_mode is False, "notify": task.notify or [],
                "result": result.result if outcome == "failed" else {}}
        with Path(self._file).open("a") as stream:
            stream.write(json.dumps(line, default=str) + "\n")

    def _of_objects(self, result: Any) -> str:
        """Differences of several objects of the cluster, which Ansible itself does not look for inside of a result."""
        if result.task.action != CLUSTER:
            return ""
        return self._text([each for single in singles(result.result) for each in applied(single)])

    def _text(self, results: Sequence[Mapping[str, Any]]) -> str:
        return "".join(self._get_diff(_named(each)) for each in results if each.get("changed") and each.get("diff"))


def _key(result: Any) -> tuple[str, str]:
    return result.host.get_name(), result.task._uuid


def _would_run(result: Any) -> bool:
    return any(each.get("msg") == WOULD_RUN for each in singles(result.result))


def _named(single: Mapping[str, Any]) -> Any:
    """A result's difference; what a template made here is no file that an admin knows, nor has an object a header."""
    diff = single["diff"]
    made = single.get("result")
    if isinstance(made, dict) and "metadata" in made:
        name = f"{made['kind']} {named(made['metadata'])}"
        return diff | {"before_header": name, "after_header": name}
    for each in diff if isinstance(diff, list) else [diff]:
        if str(each.get("after_header", "")).startswith(constants.DEFAULT_LOCAL_TMP):
            asked = single.get("invocation", {}).get("module_args", {})
            each["after_header"] = single.get("dest") or asked.get("dest") or Path(each["after_header"]).name
    return diff
