"""The rehearsal of ``test_site.py`` is taken away again: a component, hosts, the hub, every role, the machine's hosts.

The tests of this file run in their order, after those.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

from casa_install.facility import Facility
from casa_install.rehearsal import hosts as lab
from tests import machine
from tests.lab.test_lab import ssh
from tests.rehearsal.conftest import (
    INVENTORY,
    KUBECTL,
    STATE,
    Program,
    changes,
    killed_at_removal,
    left_on,
    new_on,
    on_host,
)
from tests.rehearsal.removal import remove

JOBS = ("executable = /bin/sleep\ntransfer_executable = False\narguments = 3600\nrequest_cpus = 2\n"
        "request_memory = 100\nshould_transfer_files = YES\nqueue 2\n")
OF_EVERY_HOST = (r"^[+~] (/etc/ssl/certs/|/usr/local/share/ca-certificates/casa-install-\w+\.crt$"
                 r"|/etc/resolv\.conf |/etc/dhcpcd\.enter-hook$)")
"""In what a host that merely trusts the site and asks its name servers differs from the time before us."""


def test_a_component_goes_and_the_rest_stays(casa: Program) -> None:
    refused = casa("remove", "--component", "traefik", "--yes")
    assert "refused: traefik is needed by hub; what goes together: --component traefik,hub" in refused.stdout
    assert refused.returncode == 2
    for _ in ("all of it", "what an interrupted removal would have left"):
        assert casa("remove", "--component", "xcache", "--yes").returncode == 0
    assert on_host("xcache-1", "sh", "-c", "ls /etc/xrootd /var/lib/casa-install/*/xcache 2> /dev/null || true") == ""
    assert [line for line in new_on("xcache-1") if not re.search(OF_EVERY_HOST, line)] == []
    assert {row["phase"] for row in json.loads(casa("status", "--json").stdout) if row["outcome"] == "removed"} == {
        "xcache"}
    with closing(sqlite3.connect(STATE / "journal.sqlite")) as journal:
        assert journal.execute("select verb, verdict from run order by id desc").fetchone() == (
            "remove --component xcache", "converged")


CONDOR_FILE = "/etc/condor/config.d/20-casa-daemons.config"


def test_a_host_leaves_the_pool_when_its_jobs_have_ended(casa: Program) -> None:
    assert "no host is in [gateway]" in casa("remove", "gateway-1", "--yes").stdout
    on_host("condor-1", "runuser", "-u", "alice", "--", "sh", "-c",
            f"cd /tmp && printf '%s' '{JOBS}' > jobs.sub && condor_submit -spool jobs.sub")
    on_host("condor-1", "timeout", "90", "sh", "-c",
            "until [ \"$(condor_q -allusers -autoformat JobStatus | grep --count 2)\" = 2 ]; do sleep 1; done")
    on_host("exec-2", "sh", "-c", f"echo '# by hand' >> {CONDOR_FILE}")
    waited = casa("remove", "exec-2", "--yes", "--wait", "1")
    assert waited.returncode == 1
    assert re.search(r"still run after 60 s: \d+\.\d alice@casa.test slot1_1@exec-2.casa.test", waited.stdout)
    left = casa("remove", "exec-2", "--yes", "--force")
    assert left.returncode == 0
    assert re.search(rf"Take it out of the inventory \({INVENTORY}:\d+\)", left.stdout)
    kept = f"/var/backups/casa-install{CONDOR_FILE}"
    assert f"exec-2: {CONDOR_FILE} was changed by hand; the changed file is kept as {kept}" in left.stdout
    assert on_host("exec-2", "tail", "-n", "1", kept) == "# by hand"
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


def test_a_node_leaves_when_its_users_have_been_thought_of(casa: Program) -> None:
    with closing(Facility.open(INVENTORY)) as facility:
        ssh(facility.lab, "kube-1", f"{' '.join(KUBECTL)} apply --filename=- <<'END'\n"
            f"{user_on('kube-3', facility.supply.image('toolbox'))}\nEND")
    on_host("kube-1", *KUBECTL, "--namespace=trial", "wait", "--for=condition=Ready", "pod/server", "--timeout=120s")
    refused = casa("remove", "kube-3", "--yes")
    assert refused.returncode == 2
    assert re.search(r"refused: kube-3 has the volumes of (.*, )?claim-carol(, .*)?; copy their files first",
                     refused.stdout)
    left = casa("remove", "kube-3", "--yes", "--force")
    assert left.returncode == 0
    assert "kube-3 goes, and with it the servers of carol." in left.stdout
    assert "1 of 1 hosts are exactly as they were." in left.stdout
    assert set(on_host("kube-1", *KUBECTL, "get", "nodes", "--output=name").split()) == {
        "node/kube-1", "node/kube-2", "node/gateway-1"}
    assert "claim-carol" not in on_host("kube-1", *KUBECTL, "get", "persistentvolumes")
    assert on_host("kube-1", *KUBECTL, "--namespace=trial", "get", "pods", "--output=name") == ""


def test_what_came_into_the_cluster_goes_while_the_cluster_stays(casa: Program) -> None:
    with closing(sqlite3.connect(STATE / "journal.sqlite")) as journal:
        objects = journal.execute("select distinct kind, name from made where phase in ('hub', 'traefik') "
                                  "and host = 'kube-1' and kind glob '[A-Z]*'").fetchall()
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
        # what was there when a file was changed by hand is never lost
        kept["kube-2"] = ["+ /var/backups/casa-install with 3 below it"]
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
