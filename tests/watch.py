"""Looks for secrets where nobody may find them: on command lines while programs run, and in files afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from casa_install.credentials.redaction import forms_of

PAUSE = 0.02
"""Seconds between two looks; a process that lives shorter may be missed."""
LOOKS = 100
"""How often the command line of a process is read."""


class CommandLines:
    """Collects the command lines of all processes that run meanwhile, those of virtual hosts among them."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        known: dict[str, int] = {}
        while True:
            living = [process for process in Path("/proc").iterdir() if process.name.isdigit()]
            # a process may become another program: its line is read until it has been there for a while
            known = {process.name: known.get(process.name, 0) + 1 for process in living}
            self.seen |= {self._line(process) for process in living if known[process.name] <= LOOKS}
            if self._ended.wait(PAUSE):
                return

    @staticmethod
    def _line(process: Path) -> str:
        try:
            return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            return ""


def found_in(texts: Iterable[str], secrets: Mapping[str, str]) -> set[str]:
    """Names of the secrets that occur in any text, in clear or encoded.

    :param secrets: secret -> its name.
    """
    whole = "\n".join(texts)
    return {name for secret, name in secrets.items() if any(form in whole for form in forms_of(secret))}
