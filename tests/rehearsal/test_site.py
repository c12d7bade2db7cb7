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
from casa_install.engine.history import read_history
from casa_install.facility import Facility
from casa_install.rehearsal import hosts as lab
from casa_install.supply.images import blobs
from tests import machine, watch
from tests.lab.test_lab import ssh
from tests.lab.test_refusals import picture
from tests.rehearsal.conftest import (
    INVENTORY,
    STATE,
    Program,
    changes,
    killed_at_removal,
    killed_in,
    left_on,
    new_on,
    on_host,
    started,
)
from tests.rehearsal.removal import remove
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
    ("kube-1", "Namespace", "casa-gateway"), ("kube-1", "Secret", "casa-routes/hub-tls"),
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
    assert MADE - made == set()
    with closing(Facility.open(INVENTORY)) as facility:
        assert found.keys() == {host.name for host in facility.site.hosts}
        told = [line for lines in found.values() for line in lines]
        assert watch.found_in(told, secret_values(facility.site, facility.credentials)) == set()


def test_a_second_run_changes_nothing_restarts_nothing_and_takes_a_tenth(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        before = started(facility.lab)
        done = casa("apply", "--no-verify")
        assert started(facility.lab) == before
    assert done.returncode == 0
    assert "Converged: 0 changed." in done.stdout
    assert "warning: " not in done.stdout
    *first, second = [max(phase.ended or phase.started for phase in run.phases) - run.started
                      for run in read_history(STATE / "journal.sqlite").runs]
    assert second < sum(first) / 10


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


def test_a_full_run_mends_what_was_broken_and_changes_nothing_else(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        before = started(facility.lab)
        assert casa("apply", "--no-skip", "--no-verify").returncode == 0
        after = started(facility.lab)
    assert {change[:2] for change in changes()} == {("condor", "exec-2"), ("xcache", "xcache-1")}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "exec-2 condor.service", "xcache-1 xrootd@xcache.service"}
    assert {"kube-1 kubelet.service", "condor-1 condor.service"} <= before.keys()


JOBS = ("executable = /bin/sleep\ntransfer_executable = False\narguments = 3600\nrequest_cpus = 2\n"
        "request_memory = 100\nshould_transfer_files = YES\nqueue 2\n")


OF_EVERY_HOST = "casa-install"
"""In what a host differs from the time before us that has a name in the site, and nothing else of it."""


def test_a_component_goes_and_the_rest_stays(casa: Program) -> None:
    refused = casa("remove", "--component", "traefik", "--yes")
    assert "refused: traefik is needed by hub; what goes together: --component traefik,hub" in refused.stdout
    assert refused.returncode == 2
    for _ in ("all of it", "what an interrupted removal would have left"):
        assert casa("remove", "--component", "xcache", "--yes").returncode == 0
    assert [line for line in new_on("xcache-1") if not re.search(OF_EVERY_HOST, line)] == []
    assert {row["phase"] for row in json.loads(casa("status", "--json").stdout) if row["outcome"] == "removed"} == {
        "xcache"}
    with closing(sqlite3.connect(STATE / "journal.sqlite")) as journal:
        assert journal.execute("select verb, verdict from run order by id desc").fetchone() == (
            "remove --component xcache", "converged")


CONDOR_FILE = "/etc/condor/config.d/20-casa-daemons.config"


def test_a_host_leaves_the_pool_when_its_jobs_have_ended(casa: Program) -> None:
    assert "no host is in [kube_workers]" in casa("remove", "kube-2", "--yes").stdout
    on_host("condor-1", "runuser", "-u", "alice", "--", "sh", "-c",
            f"cd /tmp && printf '%s' '{JOBS}' > jobs.sub && condor_submit -spool jobs.sub && sleep 10")
    on_host("exec-2", "sh", "-c", f"echo '# by hand' >> {CONDOR_FILE}")
    waited = casa("remove", "exec-2", "--yes", "--wait", "1")
    assert waited.returncode == 1
    assert re.search(r"still run after 60 s: \d+\.\d alice@casa.test slot1_1@exec-2.casa.test", waited.stdout)
    left = casa("remove", "exec-2", "--yes", "--force")
    assert left.returncode == 0
    assert re.search(rf"Take it out of the inventory \({INVENTORY}:\d+\)", left.stdout)
    kept = f"/var/backups/casa-install{CONDOR_FILE}"
    assert f"exec-2: {CONDOR_FILE} was changed by hand; the changed file is kept as {kept}" in left.stdout
    assert on_host("exec-2", "tail", "-n", "1", kept) == "# by hand\n"
    assert set(on_host("condor-1", "condor_status", "-autoformat", "Machine").split()) == {"exec-1.casa.test"}
    assert sorted(on_host("condor-1", "condor_q", "-allusers", "-autoformat", "JobStatus").split()) == ["1", "2"]
    refused = casa("remove", "--component", "condor,worker", "--yes")
    assert refused.returncode == 2
    assert "refused: jobs are in the queue (2 of alice); let them end" in refused.stdout
    with closing(Facility.open(INVENTORY)) as facility:
        assert left_on(facility.lab, "exec-2") == []


def test_what_has_gone_comes_back_with_the_next_apply(casa: Program) -> None:
    assert casa("apply", "--no-verify").returncode == 0
    on_host("condor-1", "condor_rm", "-all")
    assert set(on_host("condor-1", "condor_status", "-autoformat", "Machine").split()) == {
        "exec-1.casa.test", "exec-2.casa.test"}
    assert {phase for phase, _, _ in changes()} == {"base", "dns", "condor", "worker", "xcache"}


def test_a_host_that_does_not_answer_is_done_without(casa: Program) -> None:
    lab.kill("rehearsal", "exec-2")
    left = casa("remove", "exec-2", "--yes", "--wait", "1")
    assert left.returncode == 1
    assert "failed: remove on exec-2: The host answers" in left.stdout
    assert "what casa-install made there is still there: base, dns, condor, worker." in left.stdout
    assert set(on_host("condor-1", "condor_status", "-autoformat", "Machine").split()) == {"exec-1.casa.test"}
    lab.start("rehearsal", "exec-2")


def user_on(node: str, image: str) -> str:
    """Objects like those of a user whose server has come to a node, as JSON."""
    container = {"name": "server", "image": image, "command": ["sleep", "infinity"],
                 "volumeMounts": [{"name": "home", "mountPath": "/home"}]}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "trial"}},
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim-carol", "namespace": "trial"},
         "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}},
        {"apiVersion": "v1", "kind": "Pod",
         "metadata": {"name": "server", "namespace": "trial", "labels": {"jhub_user": "carol"}},
         "spec": {"nodeSelector": {"kubernetes.io/hostname": node}, "terminationGracePeriodSeconds": 0,
                  "containers": [container],
                  "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-carol"}}]}},
    ]})


KUBECTL = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")


def test_a_node_leaves_when_its_users_have_been_thought_of(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        ssh(facility.lab, "kube-1", f"{' '.join(KUBECTL)} apply --filename=- <<'END'\n"
            f"{user_on('kube-3', facility.supply.image('toolbox'))}\nEND")
    on_host("kube-1", *KUBECTL, "--namespace=trial", "wait", "--for=condition=Ready", "pod/server", "--timeout=120s")
    refused = casa("remove", "kube-3", "--yes")
    assert refused.returncode == 2
    assert "refused: kube-3 has the volumes of claim-carol; copy their files first" in refused.stdout
    left = casa("remove", "kube-3", "--yes", "--force")
    assert left.returncode == 0
    assert "kube-3 goes, and with it the servers of carol." in left.stdout
    assert "1 of 1 hosts are exactly as they were." in left.stdout
    assert set(on_host("kube-1", *KUBECTL, "get", "nodes", "--output=name").split()) == {
        "node/kube-1", "node/kube-2", "node/gateway-1"}
    assert "claim-carol" not in on_host("kube-1", *KUBECTL, "get", "persistentvolumes")
    assert on_host("kube-1", *KUBECTL, "--namespace=trial", "get", "pods", "--output=name") == ""


def test_what_came_into_the_cluster_goes_while_the_cluster_stays(casa: Program) -> None:
    of = "from made where phase in ('hub', 'traefik') and host = 'kube-1' and kind glob '[A-Z]*'"
    with closing(sqlite3.connect(STATE / "journal.sqlite")) as journal:
        objects = journal.execute(f"select distinct kind, name {of}").fetchall()
    assert {"Namespace", "Deployment", "Secret", "CustomResourceDefinition"} <= {kind for kind, _ in objects}
    lines = [f"{kind} {' --namespace='.join(reversed(name.split('/')))}" for kind, name in objects]
    asked = "; ".join(f"{' '.join(KUBECTL)} get --output=name {line} 2>&1 || true" for line in lines)
    assert len(on_host("kube-1", "sh", "-c", asked).splitlines()) == len(objects)
    assert casa("remove", "--component", "traefik,hub", "--yes").returncode == 0
    said = on_host("kube-1", "sh", "-c", asked).splitlines()
    assert [line for line in said if not re.search(r"NotFound|doesn't have a resource type", line)] == []
    assert len(said) == len(objects)


def test_every_role_takes_itself_off_its_hosts() -> None:
    killed_at_removal("kube-1", 3)
    with closing(Facility.open(INVENTORY)) as facility:
        # whole trees and all, by what was kept before the first phase; the second time nothing is kept any more
        kept: dict[str, list[str]] = {host.name: [] for host in facility.site.hosts if host.name != "kube-3"}
        for compared in (kept, {}):
            verdict = remove()
            assert (verdict.refusals, verdict.failures) == ([], {})
            assert verdict.differences == compared
        left = {host.name: found for host in facility.site.hosts if (found := left_on(facility.lab, host.name))}
    assert left == {}


def test_remove_asks_and_then_leaves_the_machine_as_it_was(casa: Program, before: machine.Machine) -> None:
    asked = casa("remove")
    assert asked.returncode == 2
    assert "--yes" in asked.stdout
    assert casa("remove", "--yes").returncode == 0
    assert not STATE.exists()
    assert before.left_by(machine.take()) == {}
