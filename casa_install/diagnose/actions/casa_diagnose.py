"""Ansible action: what a host says of itself comes to a folder of this machine, without secrets.

It is read and searched in memory: neither a module's result, which the runner would keep in files, nor a file of this
machine or of the host ever holds it as it came.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from casa_install.credentials.redaction import Redactor
from casa_install.credentials.vault import write_private

SECRETS = "diagnose_secrets"
"""Name of the variable with the site's secrets: secret -> its name."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Runs ``files/diagnose`` on the host; ``to`` is the folder that gets one file for each of its texts.

    The result has ``files``, how many there are, and ``replaced``: name of a secret -> how often it was found.
    """

    _supports_check_mode = True
    _VALID_ARGS = frozenset(("to",))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask one host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        assert task_vars is not None
        redactor = Redactor(task_vars[SECRETS])
        program = Path(self._find_needle("files", "diagnose")).read_bytes()
        done = self._low_level_execute_command("/usr/bin/env python3 -", in_data=program, sudoable=True)
        try:
            texts = json.loads(done["stdout"])
        except ValueError:
            last = redactor.text(done["stderr"] or done["stdout"]).splitlines()[-3:]
            return result | {"failed": True, "msg": f"exit status {done['rc']}: {' '.join(last)}"}
        for name, text in texts.items():
            clean = redactor.text(f"{name}\n{text}")
            name, _, text = clean.partition("\n")
            write_private(Path(self._task.args["to"]) / f"{name}.txt", text.encode())
        return result | {"changed": False, "files": len(texts), "replaced": dict(redactor.replaced)}
