"""The whole facility on virtual hosts: made by one command, killed and continued, proved, changed by nothing, removed.

The tests of this file run in their order on one site.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.rehearsal.conftest import STATE, Program, killed_in

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


def test_plan_and_status_speak_of_every_phase(casa: Program) -> None:
    planned = json.loads(casa("plan", "--json").stdout)
    told = json.loads(casa("status", "--json").stdout)
    assert [row["phase"] for row in planned] == [row["phase"] for row in told]
    assert {row["outcome"] for row in told} <= {"converged", "unchanged"}


def test_remove_asks_and_then_takes_the_site_away(casa: Program) -> None:
    asked = casa("remove")
    assert asked.returncode == 2
    assert "--yes" in asked.stdout
    assert casa("remove", "--yes").returncode == 0
    assert not STATE.exists()
    assert not list(Path("/sys/class/net").glob("casa-rehe*"))
