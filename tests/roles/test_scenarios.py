"""Every role's Molecule scenario on virtual hosts of its own: converge, idempotence, verify, removal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ON_THE_REHEARSAL = {"traefik", "hub"}
"""Roles whose scenario needs a whole site: tests/rehearsal runs them on the one it has made."""

WITH = {"containerd": "kubernetes", "cilium": "kubernetes", "storage": "kubernetes", "resolver": "dns",
        "xrootd": "xcache"}
"""Roles that mean nothing alone -> the scenario that converges, checks and removes them."""

SCENARIOS = sorted(p.parent.name for p in (ROOT / "molecule").glob("*/molecule.yml"))


def test_every_role_has_a_scenario() -> None:
    roles = {p.name for p in (ROOT / "roles").iterdir()}
    assert {WITH.get(role, role) for role in roles} <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s not in ON_THE_REHEARSAL])
def test_scenario(scenario: str) -> None:
    print(f"\nmolecule test -s {scenario}", flush=True)
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(["molecule", "test", "-s", scenario], cwd=ROOT, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
