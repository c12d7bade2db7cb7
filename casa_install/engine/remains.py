"""In what hosts differ from their states that were kept before the first phase began there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from casa_install.engine.playbook import Outcome
from casa_install.phases import PLAYBOOKS

BEFORE = PLAYBOOKS / "before.yml"
"""Keeps the state of the hosts in ``before_hosts``."""
COMPARE = PLAYBOOKS / "compare.yml"
"""Compares the hosts in ``compared_hosts``."""
COMPARED = "Hosts are compared with what they were"
"""The task that compares, in a removal, too."""
UNKNOWN = "its state before the first apply was not kept"
"""Stands for the differences of a host that cannot be compared."""
SHOWN = 12


def differences(outcome: Outcome, log: Path) -> dict[str, list[str]]:
    """Host whose state was kept -> what differs from it, a line each; all of them stand in the log, too."""
    answers = {host: json.loads(str(result["stdout"])) for (host, task), result in sorted(outcome.results.items())
               if task == COMPARED}
    found = {host: [str(line) for line in answer["differences"]] for host, answer in answers.items() if answer["known"]}
    with log.open("a") as stream:
        stream.writelines(f"{host}: {line}\n" for host, lines in found.items() for line in lines)
    return found


def told(found: Mapping[str, list[str]]) -> list[str]:
    """The verdict in words: a line for each difference, the first ones only where there are many."""
    as_before = [host for host, lines in found.items() if not lines]
    said = [f"{len(as_before)} of {len(found)} hosts are exactly as they were."] if found else []
    for host, lines in found.items():
        said += [f"{host}: {line}" for line in lines[:SHOWN]]
        if len(lines) > SHOWN:
            said.append(f"{host}: and {len(lines) - SHOWN} more, which the log has")
    if len(as_before) < len(found):
        said.append("(+ is new, - is gone, ~ is other than it was; it is not ours, or was in use, and was left alone)")
    return said
