"""The whole facility on virtual hosts: made by one command, killed and continued, proved, broken, mended, removed.

The tests of this file run in their order on one site.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from casa_install.engine.progress import Progress
from casa_install.engine.removal import remove_from_hosts
from casa_install.facility import Facility
from tests import machine
from tests.rehearsal.conftest import INVENTORY, STATE, Program, changes, killed_in, left_on, on_host, started
from tests.scenarios import ON_THE_REHEARSAL, run_scenario

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
    assert "warning: " not in done.stdout


def test_a_converged_site_stands_in_nobodys_way(casa: Program) -> None:
    done = casa("check", "--json")
    told = json.loads(done.stdout)
    assert (told["refusals"], told["warnings"], done.returncode) == ([], [], 0)


def test_plan_and_status_speak_of_every_phase(casa: Program) -> None:
    plan = json.loads(casa("plan", "--json").stdout)
    planned = plan["phases"]
    told = json.loads(casa("status", "--json").stdout)
    assert [row["phase"] for row in planned] == [row["phase"] for row in told]
    assert {row["outcome"] for row in told} <= {"converged", "unchanged"}
    assert {row["change"] for row in planned} == {
        "nothing to build", "is looked at again", "complete, unless a host has lost its mark"}
    assert [plan["seconds"], *(row["seconds"] for row in planned)] == [0] * (len(planned) + 1)


@pytest.mark.parametrize("scenario", ON_THE_REHEARSAL)
def test_roles_of_the_cluster_keep_their_promises(casa: Program, scenario: str) -> None:
    run_scenario(scenario)


def test_a_port_of_ours_that_another_program_took_is_refused(casa: Program) -> None:
    on_host("xcache-1", "systemctl", "stop", "xrootd@xcache")
    on_host("xcache-1", "systemd-run", "--unit=squatter", "python3", "-m", "http.server", "1094")
    done = casa("apply", "--no-verify")
    on_host("xcache-1", "systemctl", "stop", "squatter")
    assert done.returncode == 2
    assert re.findall(r"^refused: xcache-1 .*tcp port 1094, which the cache needs, is taken by python3 \(pid \d+\);",
                      done.stdout, re.MULTILINE), done.stdout
    assert done.stdout.count("refused: ") == 1
    assert changes() == []


def test_a_failure_names_phase_host_message_log_and_next_command(casa: Program) -> None:
    on_host("xcache-1", "systemctl", "mask", "--runtime", "xrootd@xcache")
    on_host("xcache-1", "rm", "/var/lib/casa-install/phases/xcache")
    done = casa("apply", "--no-verify")
    on_host("xcache-1", "systemctl", "unmask", "--runtime", "xrootd@xcache")
    assert done.returncode == 1
    assert "failed: xcache on xcache-1: " in done.stdout
    assert re.search(r"^  cause: the unit \S*xrootd@xcache\S* is masked$", done.stdout, re.MULTILINE), done.stdout
    log = re.search(r"^  log:  (.+)$", done.stdout, re.MULTILINE)
    assert log
    assert "xcache-1" in Path(log[1]).read_text()
    assert "run again: casa-install --inventory" in done.stdout
    assert casa("apply", "--no-verify").returncode == 0


def test_verify_names_what_is_broken(casa: Program) -> None:
    on_host("exec-2", "systemctl", "stop", "condor")
    on_host("xcache-1", "systemctl", "stop", "xrootd@xcache")
    done = casa("verify", "--json")
    assert done.returncode == 1
    verdict = json.loads(done.stdout)
    failed = {finding["name"]: finding["detail"] for finding in verdict["findings"] if not finding["passed"]}
    assert verdict["verdict"] == "not verified"
    assert set(failed) == {"pool-members", "xcache"}
    assert "exec-2" in failed["pool-members"]
    assert "xcache-1" in failed["xcache"]
    assert casa("report").returncode == 0
    suite = ElementTree.parse(STATE / "report" / "junit.xml").getroot()[0]  # noqa: S314 - our own file
    assert {str(case.get("name")).split(":")[0] for case in suite if case.find("failure") is not None} == set(failed)


def test_a_full_run_mends_what_was_broken_and_changes_nothing_else(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        before = started(facility.lab)
        assert casa("apply", "--no-skip", "--no-verify").returncode == 0
        after = started(facility.lab)
    assert {change[:2] for change in changes()} == {("condor", "exec-2"), ("xcache", "xcache-1")}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "exec-2 condor.service", "xcache-1 xrootd@xcache.service"}
    assert {"kube-1 kubelet.service", "condor-1 condor.service"} <= before.keys()


def test_every_role_takes_itself_off_its_hosts() -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        for _ in ("all of it", "what an interrupted removal would have left"):
            assert remove_from_hosts(facility, Progress(Console(quiet=True))).failures == {}
        hosts = [host.name for host in facility.site.hosts if "origin" not in host.groups]
        left = {host: found for host in hosts if (found := left_on(facility.lab, host))}
    assert left == {}


def test_remove_asks_and_then_leaves_the_machine_as_it_was(casa: Program, before: machine.Machine) -> None:
    asked = casa("remove")
    assert asked.returncode == 2
    assert "--yes" in asked.stdout
    assert casa("remove", "--yes").returncode == 0
    assert not STATE.exists()
    assert before.left_by(machine.take()) == {}
