"""The roles' Molecule scenarios, for the tests that run them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

ON_THE_REHEARSAL = ("cilium", "storage", "hub", "traefik")
"""Scenarios of roles that need a cluster or a whole site around them: the one that the rehearsal's tests have made."""

_ALL = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}

ON_THEIR_OWN = tuple(sorted(_ALL - set(ON_THE_REHEARSAL)))
"""Scenarios that make virtual hosts of their own."""

WITH_PROGRAMS = ("containerd", "kubernetes")
"""Those of them that need programs and images which take minutes to build."""


def run_scenario(name: str) -> None:
    """Run a scenario's whole sequence; AssertionError with the end of its output when it fails.

    What Molecule keeps of it, the roles' secrets among them, goes with it.
    """
    with tempfile.TemporaryDirectory(prefix="casa-") as home:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": home,
                                    "MOLECULE_EPHEMERAL_DIRECTORY": f"{home}/scenario"}
        done = subprocess.run(["molecule", "test", "-s", name], cwd=ROOT, env=environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
