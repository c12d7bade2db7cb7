"""Runs playbooks through ansible-runner and turns its events into an outcome."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import yaml

from casa_install.engine import made
from casa_install.engine.callbacks.casa_foresight import FORESIGHT_FILE
from casa_install.engine.callbacks.casa_stop import STOP_FILE
from casa_install.engine.causes import Explanation

CALLBACKS = Path(__file__).with_name("callbacks")


@dataclass(frozen=True)
class Failure:
    """A task that failed on a host, with the module's own message."""

    host: str
    task: str
    message: str
    unreachable: bool = False
    explanation: Explanation | None = None


@dataclass
class Outcome:
    """What a playbook run came to."""

    ok: bool = False
    stopped: bool = False
    """It ended between two tasks because the stop file was there."""
    changed: int = 0
    failures: list[Failure] = field(default_factory=list)
    results: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """``(host, task) -> result`` of the tasks that were asked for."""
    received: dict[tuple[str, str], float] = field(default_factory=dict)
    """``(host, task) ->`` this machine's time when that result had come, in seconds."""


@dataclass(frozen=True)
class Listener:
    """Who hears what a playbook does while it does it."""

    task: Callable[[str], None] = lambda _: None
    hosts: Callable[[int, int], None] = lambda *_: None
    """How many hosts have done the task, and how many take part as far as is known."""
    changed: Callable[[str, str], None] = lambda *_: None
    made: Callable[[str, str, str, str], None] = lambda *_: None
    """Host, and kind, name and earlier kind or value of a thing that a module says it has made there."""
    warned: Callable[[str], None] = lambda _: None
    """What a module that records what it makes warns of."""


def message_of(result: Mapping[str, Any]) -> str:
    """The module's message, with what the program it ran wrote last."""
    parts = [str(result.get("msg") or "")]
    for stream in ("stderr", "module_stderr", "module_stdout", "stdout"):
        text = str(result.get(stream) or "").strip()
        if text and text not in parts[0]:
            parts.append(text[-1500:])
            break
    for item in result.get("results") or ():
        if isinstance(item, dict) and item.get("failed"):
            parts.append(f"{item.get('item', '')}: {message_of(item)}")
    return "\n".join(part for part in parts if part) or "no message"


class _Events:
    """Collects one run's events; called from the runner's thread only."""

    def __init__(self, outcome: Outcome, listener: Listener, log: Path, wanted: Sequence[str]) -> None:
        self.outcome = outcome
        self.listener = listener
        self.wanted = wanted
        self.log = log.open("a")
        self.done: set[str] = set()
        self.taking_part: set[str] = set()
        self.changed: set[str] = set()

    def __call__(self, event: dict[str, Any]) -> bool:
        if event.get("stdout"):
            self.log.write(event["stdout"] + "\n")
            self.log.flush()
        kind, data = event["event"], event.get("event_data", {})
        host, task, result = data.get("host", ""), data.get("task", ""), data.get("res") or {}
        if kind == "playbook_on_play_start":
            self.taking_part = set()
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            self.done, self.changed = set(), set()
            self.listener.task(task)
        elif kind == "runner_on_start":
            self.taking_part.add(host)
        shown = (event.get("stdout") or "").splitlines()
        # the result of a task with no_log does not say so, nor do those of its items, but the screen does
        if result.get("changed") or any(line.startswith(f"changed: [{host}") for line in shown):
            self.changed.add(host)
        self._count(kind, host)
        if kind == "runner_on_ok":
            if host in self.changed:
                self.listener.changed(host, task)
            self._recorded(host, data.get("task_action", ""), result)
            if task in self.wanted:
                self.outcome.results[host, task] = result
                self.outcome.received[host, task] = time.time()
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            self.outcome.failures.append(Failure(host, task, message_of(result)))
        elif kind == "runner_on_unreachable":
            self.outcome.failures.append(Failure(host, task, message_of(result), unreachable=True))
        elif kind == "playbook_on_stats":
            self.outcome.changed = sum(data.get("changed", {}).values())
        return False  # the runner need not keep the event in a file

    def _recorded(self, host: str, action: str, result: Mapping[str, Any]) -> None:
        """Hand on what the result of a task, or of each of its items, says was made."""
        for thing in made.things(action, result):
            self.listener.made(host, *thing)
        for single in made.singles(result):
            for warning in (single.get("warnings") or ()) if "record" in single else ():
                self.listener.warned(str(warning))

    def _count(self, kind: str, host: str) -> None:
        if kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable", "runner_on_skipped"):
            self.done.add(host)
        if kind.startswith("runner_on_"):
            self.listener.hosts(len(self.done), len(self.taking_part | self.done))


@dataclass(frozen=True)
class Play:
    """A playbook with variables of its own."""

    playbook: Path
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What every playbook of a run works on."""

    inventory: Path
    vault_key: Path
    """Key of the encrypted files of extra variables."""
    sockets: Path
    """Folder of ssh's control sockets."""
    vault_ids: tuple[str, ...] = ()
    """What opens the inventory's own encrypted values, as ansible-playbook takes it."""


@dataclass(frozen=True)
class Options:
    """Options of ansible-playbook, with its own meaning."""

    verbosity: int = 0
    check: bool = False
    diff: bool = False
    limit: str = ""

    def words(self) -> list[str]:
        """As they stand on its command line."""
        words = [word for given, word in ((self.check, "--check"), (self.diff, "--diff")) if given]
        words += [f"-{'v' * self.verbosity}"] if self.verbosity else []
        return words + (["--limit", self.limit] if self.limit else [])


NO_OPTIONS = Options()


INTERRUPTED = 99
"""Exit status of an ansible-playbook that was interrupted."""


def run(target: Target, plays: Sequence[Play], variables: Path, workspace: Path, log: Path, listener: Listener,
        wanted: Sequence[str] = (), *, stop: Path | None = None, options: Options = NO_OPTIONS,
        foresight: Path | None = None) -> Outcome:
    """Run playbooks one after the other on an inventory, in one ansible-playbook.

    :param variables: the encrypted file of extra variables.
    :param workspace: an empty folder for the runner's own files.
    :param log: gets everything that ansible-playbook would have shown.
    :param wanted: titles of tasks whose results the caller wants back.
    :param stop: a file; once it exists, ansible-playbook ends before its next task.
    :param options: what the admin gave for ansible-playbook; the log has what it shows for it.
    :param foresight: a file for what each task comes to.
    """
    root = Path(__file__).resolve().parents[2]
    outcome = Outcome()
    events = _Events(outcome, listener, log, wanted)
    workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = workspace / "run.yml"
    whole.write_text(yaml.safe_dump([{"name": play.playbook.stem, "ansible.builtin.import_playbook": str(play.playbook),
                                      "vars": dict(play.variables)} for play in plays]))
    environment = {
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_ROLES_PATH": str(root / "roles"),
        "ANSIBLE_NOCOLOR": "1",
        # the runner would switch this off, and root's commands would go to whoever answers at a host's address
        "ANSIBLE_HOST_KEY_CHECKING": os.environ.get("ANSIBLE_HOST_KEY_CHECKING", "True"),
        # nothing of a run stays in the admin's home
        "ANSIBLE_HOME": str(workspace / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(workspace / "ansible" / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(target.sockets),
        # beside those that the admin's environment names
        "ANSIBLE_CALLBACK_PLUGINS": f"{CALLBACKS}:{os.environ.get('ANSIBLE_CALLBACK_PLUGINS', '')}".rstrip(":"),
        STOP_FILE: str(stop or ""),
        FORESIGHT_FILE: str(foresight or ""),
        # actions of ours use the program's own modules
        "PYTHONPATH": str(root),
        # the programs of our own environment first: ansible-playbook and the Python that delegated tasks use
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    if options.check:  # a folder that is there already: Ansible's own would stay in the account's home
        environment["ANSIBLE_REMOTE_TMP"] = "/tmp"  # noqa: S108
    arguments = [word for given in (*target.vault_ids, f"casa@{target.vault_key}") for word in ("--vault-id", given)]
    arguments += ["-e", f"@{variables}", *options.words()]
    runner = ansible_runner.run(
        private_data_dir=str(workspace), project_dir=str(root), inventory=str(target.inventory),
        playbook=str(whole), cmdline=shlex.join(arguments), envvars=environment,
        event_handler=events, quiet=True, settings={"idle_timeout": 0},
        # without one of ours the runner would take Ctrl-C and SIGTERM away from the program
        cancel_callback=lambda: False,
    )
    events.log.close()
    outcome.ok = runner.rc == 0 and not outcome.failures
    outcome.stopped = runner.rc == INTERRUPTED and stop is not None and stop.exists()
    if runner.rc != 0 and not outcome.stopped and not outcome.failures:
        outcome.failures.append(Failure("", "", _last_lines(log)))
    return outcome


def _last_lines(log: Path, count: int = 6) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(lines[-count:])
