"""What a phase would change, from what its playbook came to in check mode."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from casa_install.engine.playbook import message_of

Task = tuple[str, str]
"""Host and title."""


@dataclass
class Foresight:
    """What one phase would do, in the order in which its tasks are met."""

    changes: dict[Task, str] = field(default_factory=dict)
    """What would change -> the difference as text, where Ansible shows one; never that of a task with ``no_log``."""
    unknown: dict[Task, str] = field(default_factory=dict)
    """What finds out itself whether it changes something -> the task that has to be done before."""
    failed: dict[Task, tuple[str, str]] = field(default_factory=dict)
    """What failed -> the message, and the task that was to change something before; empty when none was."""


def read(file: Path) -> Foresight:
    """What stands in a file of :mod:`casa_install.engine.callbacks.casa_foresight`."""
    lines = file.read_text().splitlines() if file.exists() else []
    return foreseen(json.loads(line) for line in lines)


def foreseen(results: Iterable[dict[str, Any]]) -> Foresight:
    """What results of tasks come to.

    A command that check mode skips does what it says of itself. A look is taken, but when something would change before
    it, what it will see then is not known; nor is what a task does that fails for the lack of that change, or a secret
    one that has a condition.
    """
    found, last = Foresight(), ""
    for result in results:
        task = result["host"], result["task"]
        outcome, says = result["outcome"], _says(result["changed_when"])
        if outcome == "changed" or (outcome == "skipped" and says is True):
            found.changes[task] = result["difference"].strip("\n")
            last = result["task"]
            continue
        if outcome == "failed":
            found.failed[task] = message_of(result["result"]), last
        elif says is not False and (outcome == "untold" or (
                says is None and (outcome == "skipped" or (last and result["looks"])))):
            found.unknown[task] = last
            last = last or result["task"]
        else:
            continue
        if last:
            found.unknown |= {(result["host"], handler): result["task"] for handler in result["notify"]}
    for task in (*found.changes, *found.failed):
        found.unknown.pop(task, None)
    return found


def _says(changed_when: list[Any]) -> bool | None:
    """Whether a task says that it changes something whenever it runs; None when it depends."""
    return None if any(isinstance(each, str) for each in changed_when) else all(changed_when)
