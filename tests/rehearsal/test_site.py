"""The whole facility on virtual hosts: made by one command, proved, changed by nothing, removed without a trace.

The tests of this file run in their order on one site.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import machine
from tests.rehearsal.conftest import ROOT, STATE, Program, killed_in

DOMAIN = "casa.test"


@pytest.mark.parametrize(("phase", "after"), [("condor", 3), ("kubernetes", 6), ("hub", 1)])
def test_a_run_is_killed_in_the_middle_of_a_phase(casa: Program, phase: str, after: int) -> None:
    killed_in(phase, after)


def test_the_next_run_converges_and_proves_a_users_day(casa: Program) -> None:
    done = casa("apply")
    assert done.returncode == 0
    assert f"Users log in at https://hub.{DOMAIN}/" in done.stdout
    assert re.search(r"^verified: (\d+) of \1 checks passed$", done.stdout, re.MULTILINE)


def test_a_second_run_changes_nothing(casa: Program) -> None:
    done = casa("apply", "--no-verify")
    assert done.returncode == 0
    assert "Converged: 0 changed." in done.stdout


def test_running_every_phase_again_changes_nothing(casa: Program) -> None:
    done = casa("apply", "--no-verify", "--no-skip")
    assert done.returncode == 0
    assert "Converged: 0 changed." in done.stdout


def test_plan_and_status_speak_of_every_phase(casa: Program) -> None:
    planned = json.loads(casa("plan", "--json").stdout)
    told = json.loads(casa("status", "--json").stdout)
    assert [row["phase"] for row in planned] == [row["phase"] for row in told]
    assert {row["outcome"] for row in told} <= {"converged", "unchanged"}


@pytest.mark.parametrize("role", ["traefik", "hub"])
def test_scenario_of_a_cluster_role(casa: Program, role: str) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(["molecule", "test", "-s", role], cwd=ROOT, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout[-6000:]


def test_no_secret_of_the_vault_lies_in_logs_or_journal(casa: Program) -> None:
    from casa_install.facility import Facility

    facility = Facility.open(ROOT / "inventory" / "rehearsal" / "site.ini")
    with facility.credentials.vault.entries() as entries:
        secrets = [value for name, value in entries.items() if isinstance(value, str)]
        secrets += [value["key"].splitlines()[1] for value in entries.values() if isinstance(value, dict)]
    assert len(secrets) > 10
    for file in (p for p in STATE.rglob("*") if p.is_file()):
        content = file.read_bytes()
        assert not [s for s in secrets if s.encode() in content], f"{file} holds a secret"


def test_verify_says_what_is_broken(casa: Program) -> None:
    site = json.loads(casa("verify", "--json").stdout)
    assert site["verdict"] == "verified"
    lab = [sys.executable, "-m", "casa_install.rehearsal"]
    subprocess.run([*lab, "stop", "--name", "rehearsal", "exec-2"], cwd=ROOT, check=True)
    try:
        broken = casa("verify")
        assert broken.returncode == 1
        assert re.search(r"^FAILED .*exec-2", broken.stdout, re.MULTILINE)
    finally:
        subprocess.run([*lab, "start", "--name", "rehearsal", "exec-2"], cwd=ROOT, check=True)


def test_remove_leaves_nothing_behind(casa: Program, before: machine.Machine) -> None:
    asked = casa("remove")
    assert asked.returncode == 2
    assert "--yes" in asked.stdout
    done = casa("remove", "--yes")
    assert done.returncode == 0
    assert before.left_by(machine.take()) == {}
    assert not STATE.exists()
