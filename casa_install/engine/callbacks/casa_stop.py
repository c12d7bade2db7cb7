"""Ansible's side of the end: a playbook ends between two tasks when the program asks for it, and dies with it."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

STOP_FILE = "CASA_INSTALL_STOP"
"""Name of the variable of the environment that names the file whose existence asks for the end."""
PR_SET_PDEATHSIG = 1
"""Of ``linux/prctl.h``."""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Ends ansible-playbook before a task once the stop file exists.

    The linear strategy has every host's result of the last task by then, so no task is cut.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "casa_stop"

    def __init__(self) -> None:
        super().__init__()
        # a program that is killed cannot end its playbook, which would work on or wait for ever
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Before a task is given to any host."""
        del task, is_conditional
        self._stop()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Before a handler is given to any host."""
        del task
        self._stop()

    @staticmethod
    def _stop() -> None:
        if (name := os.environ.get(STOP_FILE)) and Path(name).exists():
            raise KeyboardInterrupt  # what Ansible's own Ctrl-C ends it with
