"""The whole facility on virtual hosts: made by one command, killed and continued, proved, broken, mended, removed.

The tests of this file run in their order on one site.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from casa_install.credentials.expiry import secret_values
from casa_install.engine.history import Run, read_history
from casa_install.facility import Facility
from casa_install.phases import PHASES
from casa_install.supply.images import blobs
from tests import watch
from tests.lab.test_refusals import picture
from tests.rehearsal.conftest import (
    INVENTORY,
    KUBECTL,
    STATE,
    Program,
    changes,
    killed_in,
    on_host,
    started,
)
from tests.scenarios import ON_THE_REHEARSAL, run_scenario

DOMAIN = "casa.test"


@pytest.mark.parametrize(("phase", "after"), [("condor", 3), ("kubernetes", 6), ("hub", 1)])
def test_a_run_is_killed_in_the_middle_of_a_phase(casa: Program, phase: str, after: int) -> None:
    killed_in(phase, after)


def test_the_next_run_converges_and_proves_a_users_day(casa: Program) -> None:
    with watch.CommandLines() as watched:
        done = casa("apply")
    with closing(Facility.open(INVENTORY)) as facility:
        assert watch.found_in(watched.seen, secret_values(facility.site, facility.credentials)) == set()
    assert any("condor_master" in line for line in watched.seen)
    assert done.returncode == 0
    assert f"Users log in at https://hub.{DOMAIN}/" in done.stdout
    assert re.search(r"^verified: (\d+) of \1 checks passed$", done.stdout, re.MULTILINE)


CAME = {
    "kube-1": ("unit kubelet.service enabled active", "interface cilium_host", "firewall rule ",
               "/etc/kubernetes with "),
    "gateway-1": ("unit containerd.service enabled active", "mount /run/containerd/"),
    "condor-1": ("package condor ", "account condor ", "group condor ", "unit condor.service enabled active"),
    "xcache-1": ("unit xcache-proxy.timer enabled active", "port tcp *:1094 xrootd"),
    "dns-1": ("package bind9 ", "port udp ", "unit casa-registry.service enabled active"),
}
"""Host -> how some of what is new on it begins, much of it no role's but a daemon's work."""


MADE = {
    ("kube-1", "Namespace", "casa-users"), ("kube-1", "Deployment", "casa-hub/hub"),
    ("kube-1", "DaemonSet", "kube-system/cilium"), ("kube-1", "StorageClass", "casa-local"),
    ("condor-1", "package", "condor"), ("xcache-1", "package", "xrootd-server"), ("dns-1", "package", "bind9"),
    ("condor-1", "file", "/etc/condor/config.d/10-casa-pool.config"), ("exec-1", "account", "casa-slot1"),
}
"""Some of what each kind of task has made, as the roles' modules say it: host, kind, name."""


def test_the_journal_has_what_came_to_each_host_whoever_made_it() -> None:
    found = read_history(STATE / "journal.sqlite").differences
    assert {(host, beginning) for host, beginnings in CAME.items() for beginning in beginnings
            if not any(line.startswith(f"+ {beginning}") for line in found[host])} == set()
    assert any(line.startswith("~ kernel setting net.ipv4.") for line in found["kube-1"])
    with closing(sqlite3.connect(STATE / "journal.sqlite")) as journal:
        made = set(journal.execute("select host, kind, name from made where before = ''"))
        of_traefik = set(journal.execute("select kind, name, before from made where phase = 'traefik'"))
    assert MADE - made == set()
    assert {("Namespace", "casa-gateway", ""), ("Secret", "casa-routes/hub-tls", "")} <= of_traefik
    with closing(Facility.open(INVENTORY)) as facility:
        assert found.keys() == {host.name for host in facility.site.hosts}
        told = [line for lines in found.values() for line in lines]
        assert watch.found_in(told, secret_values(facility.site, facility.credentials)) == set()


def without_builds(run: Run) -> float:
    """Seconds of a run in which it did more than make what is made once for all sites."""
    made_once = {phase.name for phase in PHASES if phase.artifacts} | {"data", "reference"}
    phases = [phase for phase in run.phases if phase.name not in made_once]
    worked, until = 0.0, 0.0
    for phase in sorted(phases, key=lambda phase: phase.started):
        end = phase.ended or run.last_sign
        worked += max(0.0, end - max(phase.started, until))
        until = max(until, end)
    return worked


def test_a_second_run_changes_nothing_restarts_nothing_and_takes_a_tenth(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        before = started(facility.lab)
        done = casa("apply", "--no-verify")
        assert started(facility.lab) == before
    assert done.returncode == 0
    assert "Converged: 0 changed." in done.stdout
    assert "warning: " not in done.stdout
    *first, second = map(without_builds, read_history(STATE / "journal.sqlite").runs)
    assert 0 < second < sum(first) / 10


def test_a_converged_site_stands_in_nobodys_way(casa: Program) -> None:
    done = casa("check", "--json")
    told = json.loads(done.stdout)
    assert (told["refusals"], told["warnings"], done.returncode) == ([], [], 0)


OF_HOSTS = {
    "kube-1": ("containers", "journal/kubelet.service", "kubernetes/cilium", "kubernetes/events", "kubernetes/objects"),
    "gateway-1": ("containers", "journal/containerd.service", "network"),
    "condor-1": ("condor", "journal/condor.service", "logs/condor/SchedLog", "logs/condor/NegotiatorLog"),
    "exec-1": ("condor", "logs/condor/StartLog"),
    "xcache-1": ("journal/xrootd@xcache.service", "logs/xrootd/xcache/xrootd.log"),
    "dns-1": ("dns", "journal/named.service", "journal/casa-registry.service"),
}
"""Host -> some of what a diagnosis must hold of it."""


def test_a_diagnosis_holds_every_daemons_words_and_no_secret(casa: Program, tmp_path: Path) -> None:
    archive = tmp_path / "diagnosis.tar.gz"
    assert casa("diagnose", "--output", str(archive)).returncode == 0
    with tarfile.open(archive) as tar:
        texts = {member.name.partition("/")[2]: file.read().decode() for member in tar
                 if (file := tar.extractfile(member))}
    wanted = {f"hosts/{host}/{name}.txt" for host, names in OF_HOSTS.items() for name in names}
    assert sorted(wanted - texts.keys()) == []
    assert "Ready" in texts["hosts/kube-1/kubernetes/objects.txt"]
    assert "KubeProxyReplacement" in texts["hosts/kube-1/kubernetes/cilium.txt"]
    assert "slot1@exec-1.casa.test" in texts["hosts/condor-1/condor.txt"]
    assert any(name.startswith("hosts/kube-1/kubernetes/pods/casa-hub/hub-") for name in texts)
    kept = [path.read_text(errors="replace") for path in STATE.rglob("*")
            if path.is_file() and path.suffix in (".log", ".sqlite", ".sqlite-wal")]
    assert len(kept) > len(OF_HOSTS)
    with closing(Facility.open(INVENTORY)) as facility:
        secrets = secret_values(facility.site, facility.credentials)
    assert len(secrets) > len(OF_HOSTS)
    assert watch.found_in([*texts, *texts.values()], secrets) == set()
    assert watch.found_in(kept, secrets) == set()


def test_plan_and_status_speak_of_every_phase(casa: Program) -> None:
    plan = json.loads(casa("plan", "--json").stdout)
    planned = plan["phases"]
    told = json.loads(casa("status", "--json").stdout)
    assert [row["phase"] for row in planned] == [row["phase"] for row in told]
    assert {row["outcome"] for row in told} <= {"converged", "unchanged"}
    assert {row["change"] for row in planned} == {
        "nothing to build", "is looked at again", "complete"}
    assert [plan["seconds"], *(row["seconds"] for row in planned)] == [0] * (len(planned) + 1)


def test_plan_says_that_there_is_nothing_to_do_and_changes_nothing(casa: Program) -> None:
    written = "/etc /usr /opt /var/lib/casa-install"  # by roles; elsewhere daemons write while they run

    def seen() -> dict[str, str]:
        return started(facility.lab) | {host: picture(facility.lab, host, written) for host in facility.lab.hosts}

    with closing(Facility.open(INVENTORY)) as facility:
        before = seen()
        done = casa("plan")
        assert done.returncode == 0
        assert done.stdout.splitlines()[-1] == "There is nothing to do."
        # complete phases, too
        rows = json.loads(casa("plan", "--no-skip", "--json").stdout)["phases"]
        assert [row for row in rows if row["changes"] or row["failures"] or row["then"]] == []
        after = seen()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == set()


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


def test_a_stopped_registry_and_a_changed_image_are_told_and_mended(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        config = blobs(facility.supply.layout("worker"))[0].removeprefix("sha256:")
    image = on_host("exec-1", "readlink", "/var/lib/casa/worker").strip()
    on_host("exec-1", "mv", image, "/var/lib/casa/images/before")
    try:
        on_host("dns-1", "systemctl", "stop", "casa-registry-front")
        done = casa("apply", "--only", "worker", "--no-verify")
        on_host("dns-1", "systemctl", "start", "casa-registry-front")
        assert done.returncode == 1
        assert re.search(r"^  cause: nothing listens at a place that is needed \(\S+:5000\)$", done.stdout, re.M)
        stored = f"/var/lib/docker-registry/docker/registry/v2/blobs/sha256/{config[:2]}/{config}/data"
        on_host("dns-1", "sed", "--in-place", "s/amd64/arm64/", stored)
        done = casa("apply", "--only", "worker", "--no-verify")
        assert done.returncode == 1
        assert 'worker failed on exec-1 at "The worker image is unpacked": this run goes on with worker.' in done.stdout
        assert "failed: worker on exec-1: " in done.stdout
        assert "  cause: something arrived that is not what was published\n" in done.stdout
        assert "run again with --no-skip" in done.stdout
        assert casa("apply", "--only", "registry,publish,worker", "--no-verify").returncode == 0
        assert on_host("dns-1", "sha256sum", stored).split()[0] == config
    finally:
        on_host("exec-1", "rm", "-rf", "/var/lib/casa/images/before")


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


SYSCTL = "/etc/sysctl.d/90-casa-kubernetes.conf"


def test_a_full_run_mends_what_was_broken_as_announced_and_changes_nothing_else(casa: Program) -> None:
    on_host("kube-2", "sh", "-c", f"echo '# by hand' >> {SYSCTL}")
    on_host("kube-1", *KUBECTL, "--namespace=casa-users", "patch", "configmap", "site-ca", "--type=merge",
            '--patch={"data": {"ca.crt": "by hand"}}')
    rows = json.loads(casa("plan", "--only", "condor,xcache,kubernetes,hub", "--json").stdout)["phases"]
    announced, then = ({(row["phase"], each["host"], each["task"]) for row in rows for each in row[kind]}
                       for kind in ("changes", "then"))
    [object_] = [each["diff"] for row in rows for each in row["changes"] if row["phase"] == "hub"]
    assert "--- before: ConfigMap casa-users/site-ca" in object_
    assert re.search('^- +"ca.crt": "by hand"$', object_, re.MULTILINE)
    with closing(Facility.open(INVENTORY)) as facility:
        before = started(facility.lab)
        assert casa("apply", "--no-skip", "--no-verify").returncode == 0
        after = started(facility.lab)
    done = set(changes())
    assert {change[:2] for change in done} == {("condor", "exec-2"), ("xcache", "xcache-1"), ("kubernetes", "kube-2"),
                                               ("hub", "kube-1")}
    assert announced - done == set()
    assert done - announced == done & then
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "exec-2 condor.service", "xcache-1 xrootd@xcache.service"}
    assert {"kube-1 kubelet.service", "condor-1 condor.service"} <= before.keys()
