"""Ctrl-C: once, what runs is finished and nothing new begins; twice, everything stops at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from casa_install.engine import processes
from casa_install.machine import RUN_MARK

FINISHING = "Ctrl-C: running tasks are finished, then the run stops; Ctrl-C again stops them, too."
STOPPING = "Everything is stopped now."
STUCK = "Stopped; the same command goes on from here."
_OVER = b"\0"
EXIT = 130
"""Exit status of a run that Ctrl-C ended: 128 + SIGINT, as shells have it."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The run is to end here."""


class Interrupt:
    """Listens for Ctrl-C and SIGTERM while its block runs; SIGTERM counts as two Ctrl-C.

    :param run: names the run in the environment of the processes it starts; one site has one name.
    :param flag: file whose existence tells playbooks to end before their next task.
    :param say: gets sentences for the screen.
    """

    def __init__(self, run: str, flag: Path, say: Callable[[str], None], patience: float = 10) -> None:
        self.run, self.flag, self._say, self._patience = run, flag, say, patience
        self.level = 0
        # signals come through a pipe: the main thread may be waiting for something that they do not wake it from
        self._heard, self._signals = os.pipe()
        os.set_blocking(self._signals, False)
        self._wakeup = -1
        self._over = threading.Event()
        self._before: dict[int, Any] = {}
        self._watcher = threading.Thread(target=self._watch, name="interrupt", daemon=True)

    @property
    def asked(self) -> bool:
        """Nothing new may begin."""
        return self.level > 0

    @property
    def at_once(self) -> bool:
        """What runs is cut."""
        return self.level > 1

    def __enter__(self) -> Interrupt:
        processes.end(self.run)  # what a killed run of this site has left would work beside us
        self.flag.unlink(missing_ok=True)
        os.environ[RUN_MARK] = self.run
        self._watcher.start()
        self._wakeup = signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)
        self._before = {sign: signal.signal(sign, _hear) for sign in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for sign, handler in self._before.items():
            signal.signal(sign, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.write(self._signals, _OVER)
        self._watcher.join()
        os.close(self._heard)
        os.close(self._signals)
        self.flag.unlink(missing_ok=True)
        del os.environ[RUN_MARK]

    def _watch(self) -> None:
        while (heard := os.read(self._heard, 1)) != _OVER:
            level = {int(signal.SIGINT): min(2, self.level + 1), int(signal.SIGTERM): 2}.get(heard[0], self.level)
            if level > self.level:
                self.level = level
                self._say(FINISHING if level == 1 else STOPPING)
                with contextlib.suppress(OSError):
                    self.flag.parent.mkdir(parents=True, exist_ok=True)
                    self.flag.touch()
                if level == 2:
                    self._end()

    def _end(self) -> None:
        processes.end(self.run)
        # a step may still wait for something that is no process, or have started another one
        if not self._over.wait(self._patience):
            self._say(STUCK)
            processes.end(self.run, patience=0)
            os._exit(EXIT)


def _hear(_sign: int, _frame: FrameType | None) -> None:
    """Without a handler the signal would end the program; the pipe has it already."""


class Reporter:
    """What a step on this machine tells the run, and where it can be ended."""

    def __init__(self, interrupt: Interrupt, show: Callable[[str], None]) -> None:
        self._interrupt, self._show = interrupt, show

    def __call__(self, step: str) -> None:
        """Show what the step does.

        :raises Interrupted: when everything stops at once.
        """
        if self._interrupt.at_once:
            raise Interrupted
        self._show(step)

    def pause(self) -> None:
        """Call it between two things that are worth being finished.

        :raises Interrupted: when nothing new may begin.
        """
        if self._interrupt.asked:
            raise Interrupted
