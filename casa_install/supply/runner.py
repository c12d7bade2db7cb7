"""Runs the programs of a build: output to a log, a sign of life in between, nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_TICK = 0.1


class CommandError(RuntimeError):
    """A program of a build failed."""


class Runner:
    """Runs programs for one build.

    :param log: receives command lines and their output.
    :param environment: added to the process's own.
    :param alive: called about ten times a second while a program runs.
    """

    def __init__(self, log: IO[str], environment: Mapping[str, str], alive: Callable[[], None]) -> None:
        self._log = log
        self._environment = os.environ | environment
        self._alive = alive

    def __call__(self, argv: Sequence[str | Path], cwd: Path | None = None,
                 environment: Mapping[str, str] | None = None) -> None:
        """Run a program to its end; its output goes to the log.

        :raises CommandError: when its exit code is not 0.
        """
        self._run(argv, self._log, cwd, environment)

    def output(self, argv: Sequence[str | Path], cwd: Path | None = None,
               environment: Mapping[str, str] | None = None) -> str:
        """Run a program and return what it printed on standard output.

        :raises CommandError: when its exit code is not 0.
        """
        with tempfile.TemporaryFile("w+") as file:
            self._run(argv, file, cwd, environment)
            file.seek(0)
            return file.read()

    def _run(self, argv: Sequence[str | Path], stdout: IO[str], cwd: Path | None,
             environment: Mapping[str, str] | None) -> None:
        words = [str(a) for a in argv]
        self._log.write(f"$ {' '.join(words)}\n")
        self._log.flush()
        with (
            subprocess.Popen(words, cwd=cwd, env=self._environment | dict(environment or {}), stdin=subprocess.DEVNULL,
                             stdout=stdout, stderr=self._log, start_new_session=True) as process,
            _guarded(process),
        ):
            try:
                while process.poll() is None:
                    self._alive()
                    time.sleep(_TICK)
            except BaseException:
                _end(process)
                raise
        if process.returncode != 0:
            raise CommandError(f"{words[0]} ended with {process.returncode}")


@contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have a program and all it starts ended when this process is killed, which then closes the guard's input."""
    script = 'read -r _; kill -s TERM -- "-$1"; sleep 3; kill -s KILL -- "-$1"'
    with subprocess.Popen(["sh", "-c", script, "guard", str(process.pid)], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as guard:
        try:
            yield
        finally:
            guard.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(5)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
