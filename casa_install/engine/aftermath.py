"""What is done after a failure: hosts are asked for their circumstances, and each failure gets its explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from casa_install.engine import playbook
from casa_install.engine.causes import Circumstances, explain
from casa_install.engine.playbook import Failure, Listener, Play, Target

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "circumstances.yml"
_CIRCUMSTANCES, _ANSWER = "Circumstances are read", "The host answers"


def explained(failures: Sequence[Failure], target: Target, variables: Path, workspace: Path, log: Path,
              hosts: Sequence[str]) -> list[Failure]:
    """The failures with what is known of their causes, and one for each other host that is lost: they may need it.

    Hosts that answer are asked, and nothing is changed on them.

    :param log: gets what this shows, behind what is there.
    :param hosts: names of the site's hosts.
    """
    asked = sorted({failure.host for failure in failures if failure.host and not failure.unreachable})
    known: dict[str, Circumstances] = {}
    lost: list[Failure] = []
    if asked:
        # apt's own words do not say which source is silent
        more = "sources" if any("apt cache" in failure.message for failure in failures) else ""
        others = [host for host in hosts if host not in {failure.host for failure in failures}]
        play = Play(PLAYBOOK, {"circumstances_hosts": ",".join(asked), "circumstances_more": more,
                               "circumstances_others": others})
        outcome = playbook.run(target, [play], variables, workspace, log, Listener(), [_CIRCUMSTANCES])
        known = {host: Circumstances.read(str(result["stdout"]), outcome.received[host, task])
                 for (host, task), result in outcome.results.items()}
        lost = [failure for failure in outcome.failures if failure.unreachable and failure.task == _ANSWER]
    return [replace(failure, explanation=explain(failure.message, known.get(failure.host, Circumstances()),
                                                 unreachable=failure.unreachable))
            for failure in (*failures, *lost)]
