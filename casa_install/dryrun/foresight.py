"""Turns the events of a playbook in check mode into what it would change."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from casa_install.engine.playbook import message_of

WOULD_RUN = "Command would have run if not in check mode"
"""Ansible's words for a command that check mode skips."""


@dataclass
class Foresight:
    """What one phase would do; keys are ``(host, task)``, in the order in which they were met."""

    changes: dict[tuple[str, str], str] = field(default_factory=dict)
    """What would change -> the difference as text, where Ansible shows one; never that of a task with ``no_log``."""
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    """What failed -> the message; it may wait for what check mode has not made."""
    untried: set[tuple[str, str]] = field(default_factory=set)
    """Commands that find out themselves whether they change something."""

    def event(self, event: dict[str, Any]) -> None:
        """Hear an event of the runner."""
        kind, data = event["event"], event.get("event_data", {})
        key, result = (data.get("host", ""), data.get("task", "")), data.get("res") or {}
        shown = (event.get("stdout") or "").splitlines()
        if kind == "runner_on_file_diff":
            # the first of a task has its title above it
            lines = [line for line in shown if line.strip() and not line.startswith(("TASK [", "RUNNING HANDLER ["))]
            self._differences.setdefault(key, []).extend(lines)
        elif kind == "playbook_on_task_start" or kind == "playbook_on_handler_task_start":
            self._differences.clear()
            self._changed.clear()
        # the result of a task with no_log does not say that it changes something, but the screen does
        if result.get("changed") or any(line.startswith(f"changed: [{key[0]}") for line in shown):
            self._changed.add(key)
        if kind == "runner_on_ok" and key in self._changed:
            self.changes[key] = "\n".join(self._differences.get(key, ()))
        elif kind == "runner_on_failed":
            self.failed[key] = message_of(result)
        elif kind == "runner_on_skipped" and _would_run(result):
            changes = _changed_when(data.get("task_path", ""))
            if changes == "true":
                self.changes[key] = ""
            elif changes != "false":
                self.untried.add(key)

    _differences: dict[tuple[str, str], list[str]] = field(default_factory=dict, repr=False)
    _changed: set[tuple[str, str]] = field(default_factory=set, repr=False)


def _would_run(result: dict[str, Any]) -> bool:
    results = [result, *(each for each in result.get("results") or () if isinstance(each, dict))]
    return any(each.get("msg") == WOULD_RUN for each in results)


def _changed_when(task_path: str) -> str:
    """What a task says of itself: ``false`` when it only looks, ``true`` when it always changes something.

    :param task_path: file and line of the task, with a colon between them.
    """
    file, _, line = task_path.rpartition(":")
    for node in _mappings(yaml.compose(Path(file).read_text())):
        if node.start_mark.line + 1 == int(line):
            said = [str(value.value) for key, value in node.value if key.value == "changed_when"]
            return said[0] if said else "true"
    return ""


def _mappings(node: yaml.Node | None) -> list[yaml.MappingNode]:
    """Every mapping of a document."""
    if isinstance(node, yaml.SequenceNode):
        return [found for each in node.value for found in _mappings(each)]
    if isinstance(node, yaml.MappingNode):
        return [node, *(found for _, value in node.value for found in _mappings(value))]
    return []

