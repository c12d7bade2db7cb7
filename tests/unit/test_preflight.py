"""Preflight: what facts of hosts mean for a site, told in words with a remedy."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from casa_install import preflight
from casa_install.engine.playbook import Failure, Outcome
from casa_install.preflight import components, docs
from casa_install.preflight.delegation import Answers, ask
from casa_install.preflight.findings import Findings
from casa_install.site.model import Host, Site
from tests.unit.site_inventories import GOOD, load, replaced

ROOT = Path(__file__).resolve().parents[2]
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
SENT, RECEIVED = 1000.0, 1001.0
TRIXIE = "ID=debian\nVERSION_ID=13\n"
GIB = 1 << 30


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A real site."""
    return load(tmp_path, GOOD)


def space(free: float, inodes: int | None = 10**6) -> dict[str, Any]:
    """A file system with that many GiB and inodes free."""
    return {"device": 1, "free": int(free * GIB), "size": 1000 * GIB, "inodes": inodes, "noexec": False}


def facts(site: Site, host: Host) -> dict[str, Any]:
    """What a host says that stands in nobody's way."""
    asked = preflight.asked(site, host)
    return {
        "clock": 1000.5, "sent": SENT, "uid": 0, "marks": {}, "name": host.name, "memory": 256 * GIB, "cores": 64,
        "cgroup": 2, "controllers": ["cpuset", "cpu", "io", "memory", "hugetlb", "pids"],
        "release": "6.12.48+deb13-amd64",
        "features": dict.fromkeys(asked["features"], True), "no_namespaces": "", "enforcing": False, "reboots": False,
        "kept": {"daemon": "chronyd", "installed": True, "right": True}, "forward": {},
        "spaces": {path: space(900) for path in asked["paths"]},
        "programs": {}, "docker_is_ours": False, "reverse": [site.fqdn(host)], "mtu": 1500, "drops": [],
        "listeners": [{"protocol": "tcp", "address": "0.0.0.0", "port": 22, "program": "sshd", "pid": 9}],  # noqa: S104
        "hosts": {"localhost": ["127.0.0.1"], host.name: [str(host.address)]},
        "peers": [{"address": address, "silent": {}, "router": "", "ping": True, "whole": True}
                  for address, _ in asked["peers"]],
    }


def judged(site: Site, changed: Mapping[str, Mapping[str, Any]], failures: tuple[Failure, ...] = (),
           answers: Answers | None = None) -> Findings:
    """Findings on a site whose hosts differ from good ones as told."""
    outcome = Outcome(failures=list(failures))
    silent = {failure.host for failure in failures}
    for host in site.hosts:
        outcome.results[host.name, "System is read"] = {"stdout": TRIXIE}
        if host.name not in silent:
            said = facts(site, host) | dict(changed.get(host.name, {}))
            outcome.results[host.name, "Facts are read"] = {"stdout": json.dumps(said)}
            outcome.received[host.name, "Facts are read"] = RECEIVED
    return preflight.judge(site, outcome, NOW, answers or {})


def listener(port: int, program: str, address: str = "0.0.0.0", protocol: str = "tcp") -> dict[str, Any]:  # noqa: S104
    """One socket."""
    return {"listeners": [{"protocol": protocol, "address": address, "port": port, "program": program,
                           "pid": 77 if program else 0}]}


def spaces(site: Site, host: str, free: float, **more: Any) -> dict[str, Any]:
    """All directories of a host on a file system with that many GiB free."""
    [one] = [each for each in site.hosts if each.name == host]
    return {"spaces": {path: space(free) for path in preflight.asked(site, one)["paths"]}} | more


def test_good_hosts_have_no_findings(site: Site) -> None:
    assert judged(site, {}).found == []


@pytest.mark.parametrize(("host", "said", "refusal", "told"), [
    ("exec-1", {"clock": 1040.0}, True, "its clock is 39 s ahead of this machine's; let a time service"),
    ("exec-1", {"clock": 900.0}, True, "its clock is 100 s behind this machine's; let a time service"),
    ("exec-1", {"clock": 1005.0}, False, "its clock is 4 s ahead of this machine's; let a time service"),
    ("kube-1", {"memory": GIB}, True, "has 1.0 GiB of memory, and 1.7 are needed for a Kubernetes node and"),
    ("kube-1", {"memory": 3 * GIB}, False, "has 3.0 GiB of memory, and 4.0 are comfortable for a Kubernetes"),
    ("kube-1", {"cores": 1}, True, "has 1 core, and 2 are needed for a Kubernetes node and the control plane; give"),
    ("xcache-1", {"memory": 2 * GIB}, True, "has 2.0 GiB of memory, and 2.5 are needed for the cache; give it more"),
    ("exec-1", {"memory": 90 * GIB}, False, "casa_condor_memory=98304 is more than its 92160 MiB; write less"),
    ("exec-1", {"cores": 8}, False, "casa_condor_cpus=24 is more than its 8 cores; write less"),
    ("kube-2", {"cgroup": 1}, True, "has cgroup v1, which Kubernetes no longer supports; boot it with"),
    ("kube-2", {"controllers": ["cpu", "pids"]}, True,
     "its cgroups do not control cpuset, memory; take cgroup_disable"),
    ("kube-2", {"release": "5.4.0-9-amd64"}, True, "runs the kernel 5.4.0-9-amd64, and Cilium needs 5.10; install"),
    ("kube-2", {"features": {"VETH": True, "NET_CLS_BPF": False, "OVERLAY_FS": False}}, True,
     "its kernel 6.12.48+deb13-amd64 has neither these options nor their modules: NET_CLS_BPF, OVERLAY_FS; install"),
    ("exec-1", {"no_namespaces": "user.max_user_namespaces"}, True,
     "user.max_user_namespaces keeps users from making namespaces, which apptainer needs; change it in"),
    ("exec-1", {"enforcing": True}, False, "SELinux enforces, and what is installed has no labels of its own; write"),
    ("exec-1", {"reboots": True}, False, "reboots by itself after upgrades, which ends what users run there; write"),
    ("exec-1", {"kept": {"daemon": "", "installed": True, "right": True}}, False,
     "the daemon that keeps its clock is installed and does not run; start it"),
    ("exec-1", {"kept": {"daemon": "chronyd", "installed": True, "right": False}}, False,
     "chronyd has not set its clock yet; let it reach a time server"),
    ("exec-1", {"forward": {"hub.casa.lan": ["10.9.9.9"]}}, False,
     "its name service gives hub.casa.lan the address 10.9.9.9, which should be 10.1.0.200; correct the record"),
    ("exec-1", {"forward": {"hub.casa.lan": ["10.1.0.200", "10.9.9.9"]}}, False,
     "its name service gives hub.casa.lan the address 10.1.0.200, 10.9.9.9, which should be 10.1.0.200"),
    ("exec-1", {"forward": {"exec-1.casa.lan": ["10.9.9.9"]}}, False,
     "its name service gives exec-1.casa.lan the address 10.9.9.9, which should be 10.1.0.31; correct the record"),
    ("kube-2", {"name": "node17.lan"}, True, "calls itself node17.lan; rename it (hostnamectl set-hostname kube-2)"),
    ("kube-2", {"hosts": {"kube-2": ["127.0.1.1"]}}, False,
     "its /etc/hosts gives kube-2 the address 127.0.1.1, which is 10.1.0.12; write 10.1.0.12 there"),
    ("kube-2", {"hosts": {"kube-2.casa.lan": ["10.1.0.99"]}}, True,
     "its /etc/hosts gives kube-2.casa.lan the address 10.1.0.99, which is 10.1.0.12; correct or remove"),
    ("exec-1", {"hosts": {"registry.casa.lan": ["10.1.0.50"]}}, True,
     "its /etc/hosts gives registry.casa.lan the address 10.1.0.50, which is 10.1.0.51; correct or remove"),
    ("exec-1", {"reverse": ["old.lan"]}, False, "its address belongs to old.lan by the host's name service; let the"),
    ("kube-1", listener(6443, "haproxy"), True,
     "tcp port 6443, which the control plane needs, is taken by haproxy (pid 77); stop that program"),
    ("dns-1", listener(53, "dnsmasq", protocol="udp"), True,
     "udp port 53, which the site's name server needs, is taken by dnsmasq (pid 77); stop that program"),
    ("dns-1", listener(5000, "nginx", "10.1.0.51"), True,
     "tcp port 5000, which the site registry needs, is taken by nginx (pid 77); stop that program"),
    ("xcache-1", listener(1094, ""), True, "tcp port 1094, which the cache needs, is taken by the kernel; stop"),
    ("condor-1", listener(9618, "python3") | {"marks": {"condor": "abc"}}, True,
     "tcp port 9618, which HTCondor needs, is taken by python3 (pid 77); stop that program"),
    ("exec-1", {"mtu": 0}, False, "no interface of it has the address 10.1.0.31; write the host's own address"),
    ("exec-1", {"drops": ["firewalld"]}, False,
     "drops packets that come in (firewalld); let it pass everything from 10.1.0.0/24"),
    ("kube-2", {"programs": {"containerd": "/usr/bin/containerd"}}, True,
     "/usr/bin/containerd is not of this site, and its unit, settings and containers would be overwritten; remove it"),
    ("kube-2", {"programs": {"dockerd": "/usr/bin/dockerd"}}, True, "/usr/bin/dockerd is not of this site, and docker"),
    *(("kube-2", {"programs": {program: f"/opt/bin/{program}"}}, True,
       f"/opt/bin/{program} is not of this site, and the host is a node of another cluster, or was; remove it")
      for program in ("kubelet", "kubeadm", "k3s", "rke2", "microk8s")),
    ("exec-1", {"programs": {"condor_master": "/usr/sbin/condor_master"}}, True,
     "/usr/sbin/condor_master is not of this site, and its settings"),
    ("dns-1", {"programs": {"named": "/usr/sbin/named"}}, True, "/usr/sbin/named is not of this site, and its zones"),
    ("dns-1", {"programs": {"nginx": "/usr/sbin/nginx"}}, False, "/usr/sbin/nginx is not of this site: it stays"),
    ("xcache-1", {"programs": {"xrootd": "/usr/bin/xrootd"}}, True, "/usr/bin/xrootd is not of this site, and removal"),
])
def test_what_stands_in_the_way_is_one_finding_with_a_remedy(site: Site, host: str, said: dict[str, Any], refusal: bool,
                                                             told: str) -> None:
    [finding] = judged(site, {host: said}).found
    assert (finding.host, finding.refusal) == (host, refusal)
    assert finding.check in {check.name for check in preflight.CHECKS}
    assert f"{finding.problem}; {finding.remedy}".startswith(told)


@pytest.mark.parametrize(("host", "said"), [
    ("exec-1", {"clock": 1002.0}),  # within the time that the answer took, and two seconds
    ("dns-1", listener(53, "systemd-resolve", "127.0.0.53", "udp")),
    ("kube-2", listener(9618, "nc")),  # no port of a node's
    ("dns-1", listener(53, "named") | {"marks": {"dns": ""}}),  # begun, not complete
    ("kube-1", listener(6443, "kube-apiserver") | {"marks": {"kubernetes": "abc"}}),
    ("kube-1", listener(10257, "") | {"marks": {"kubernetes": "abc"}}),
    ("dns-1", {"programs": {"named": "/usr/sbin/named", "nginx": "/n", "docker-registry": "/d"},
               "marks": {"dns": "", "registry": ""}}),
    ("kube-3", {"programs": {"containerd": "/usr/local/bin/containerd", "kubelet": "/k", "kubeadm": "/k"},
                "marks": {"kubernetes": ""}}),
    ("exec-1", {"programs": {"dockerd": "/usr/bin/dockerd"}}),  # jobs run in apptainer
    ("exec-1", {"reverse": []}),
    ("exec-1", {"forward": {"hub.casa.lan": ["10.1.0.200"], "api.casa.lan": []}}),
    ("exec-1", {"forward": {"exec-1.casa.lan": ["10.1.0.31", "192.168.7.31"]}}),  # it has two interfaces
    ("exec-1", {"forward": {"exec-1.casa.lan": []}}),  # the site's name servers will know it
    ("exec-1", {"kept": {"daemon": "", "installed": False, "right": False}}),  # the site installs one
    ("kube-2", {"features": {"VETH": None, "OVERLAY_FS": None}}),  # nobody knows
    ("kube-2", {"no_namespaces": "user.max_user_namespaces"}),  # runs no jobs
    ("exec-1", {"release": "5.4.0", "controllers": []}),  # no node
    ("exec-1", {"hosts": {"kube-2": ["10.1.0.12", "fd00::12"], "somebody": ["10.1.0.99"]}}),
])
def test_what_is_ours_or_harmless_is_no_finding(site: Site, host: str, said: dict[str, Any]) -> None:
    assert judged(site, {host: said}).found == []


def test_an_account_that_does_not_become_root_is_refused_and_what_it_cannot_see_is_not_judged(site: Site) -> None:
    [finding] = judged(site, {"kube-1": listener(6443, "") | {"uid": 1000, "drops": ["ufw"]}}).found
    assert (finding.host, finding.check, finding.refusal) == ("kube-1", "access", True)
    assert (finding.problem, finding.remedy) == (
        "no root rights: commands run there with uid 1000, without sudo",
        "take ansible_become=false out of the inventory and let ansible_user use sudo, or set ansible_user=root")


def test_two_clocks_are_compared_with_each_other(site: Site) -> None:
    found = judged(site, {"exec-1": {"clock": 1021.0}, "exec-2": {"clock": 980.0}}).refusals
    assert [(f.host, f.problem) for f in found] == [("exec-1", "its clock is 40 s ahead of exec-2's")]


def test_directories_on_one_file_system_need_room_together(site: Site) -> None:
    [finding] = judged(site, {"kube-1": spaces(site, "kube-1", 5)}).found
    assert finding.refusal
    assert finding.problem == ("has 5.0 GiB free for /, /usr, /var/cache/apt, /var/lib/containerd, /var/lib/kubelet, "
                               "/var/lib/etcd, and 5.5 are needed")
    [finding] = judged(site, {"kube-1": spaces(site, "kube-1", 20)}).found
    assert not finding.refusal
    assert "34.0 would be comfortable" in finding.problem


@pytest.mark.parametrize(("path", "needed"), [("/", 0.3), ("/usr", 0.4), ("/var/cache/apt", 0.5)])
def test_packages_need_room_on_a_host_without_data(tmp_path: Path, path: str, needed: float) -> None:
    site = load(tmp_path, replaced(("[registry]\ndns-1", "[registry]\nxcache-1")))
    said = spaces(site, "dns-1", 900)
    said["spaces"][path] |= {"device": 2, "free": GIB // 10}
    [finding] = judged(site, {"dns-1": said}).found
    assert finding.refusal
    assert finding.problem == f"has 0.1 GiB free for {path}, and {needed} are needed"


def test_a_component_that_stands_needs_its_room_no_more(site: Site) -> None:
    marks = {"marks": {"base": "", "kubernetes": ""}}
    assert judged(site, {"kube-1": spaces(site, "kube-1", 1.6) | marks}).found == []
    [finding] = judged(site, {"kube-1": spaces(site, "kube-1", 1.4) | marks}).found
    assert finding.refusal
    assert finding.problem.endswith("and 1.5 are needed"), "a quarter for each directory"


@pytest.mark.parametrize(("inodes", "marks", "needed"), [
    (160_000, {}, 164_000), (164_000, {}, None), (None, {}, None), (5000, {"base": "", "kubernetes": ""}, 6000),
    (6000, {"base": "", "kubernetes": ""}, None)])
def test_inodes_are_needed_too_where_they_are_counted(site: Site, inodes: int | None, marks: dict[str, str],
                                                      needed: int | None) -> None:
    said = {"spaces": {path: space(900, inodes) for path in preflight.asked(site, site.hosts[0])["paths"]}}
    found = judged(site, {"kube-1": said | {"marks": marks}}).found
    assert [(f.refusal, f.problem) for f in found] == ([] if needed is None else [
        (True, f"has {inodes} free inodes for /, /usr, /var/cache/apt, /var/lib/containerd, /var/lib/kubelet, "
               f"/var/lib/etcd, and {needed} are needed")])


@pytest.mark.parametrize(("peer", "refusal", "told"), [
    ({"silent": {53: "No route to host"}, "ping": False}, True, "does not reach {}: No route to host"),
    ({"silent": {53: "No route to host"}, "ping": True}, False,
     "cannot connect to tcp port 53 of {}: No route to host"),
    ({"silent": {53: "timed out", 5000: "timed out"}, "ping": None}, False,
     "cannot connect to tcp port 53, 5000 of {}: timed out"),
    ({"ping": True, "whole": False}, False, "packets of its MTU of 1500 do not reach {}"),
])
def test_ways_between_hosts(site: Site, peer: dict[str, Any], refusal: bool, told: str) -> None:
    said = {"peers": [{"address": "10.1.0.51", "silent": {}, "router": "", "whole": None} | peer]}
    [finding] = judged(site, {"exec-1": said}).found
    assert (finding.host, finding.refusal, finding.problem) == ("exec-1", refusal, told.format("dns-1 (10.1.0.51)"))


def test_a_router_between_nodes_is_refused_and_elsewhere_is_a_way(site: Site) -> None:
    way = {"silent": {}, "router": "10.1.0.1", "ping": True, "whole": True}
    peers = [{"address": address, **way} for address in ("10.1.0.12", "10.1.0.51")]
    [finding] = judged(site, {"kube-1": {"peers": peers}}).found
    assert finding.refusal
    assert finding.problem == "reaches kube-2 (10.1.0.12) by the router 10.1.0.1"


@pytest.mark.parametrize(("host", "path", "refused"), [
    ("exec-1", "/var/lib/condor", True), ("dns-1", "/var/lib/dpkg", True), ("kube-2", "/var/lib/containerd", False)])
def test_programs_can_be_run_where_they_are(site: Site, host: str, path: str, refused: bool) -> None:
    said = spaces(site, host, 900)
    said["spaces"][path]["noexec"] = True
    assert [f.problem.startswith(f"{path} is on a file system that is mounted noexec") and f.refusal
            for f in judged(site, {host: said}).found] == [True] * refused


def test_no_question_leaves_a_rehearsal(rehearsal: Site) -> None:
    assert ask(rehearsal) == {}
    assert all(preflight.asked(rehearsal, host)["names"] == [] for host in rehearsal.hosts)


def test_a_host_that_is_off_is_told_once_and_not_by_its_peers(site: Site) -> None:
    said = {"peers": [{"address": "10.1.0.51", "silent": {53: "No route to host"}, "router": "", "ping": False,
                       "whole": None}]}
    [finding] = judged(site, {"exec-1": said}, (Failure("dns-1", "System is read", "No route to host", True),)).found
    assert (finding.host, finding.check) == ("dns-1", "access")


def test_only_hosts_of_the_inventory_are_asked_for(site: Site) -> None:
    known = {str(host.address) for host in site.hosts}
    for host in site.hosts:
        peers = [address for address, _ in preflight.asked(site, host)["peers"]]
        assert set(peers) <= known - {str(host.address)}
        assert len(peers) == len(set(peers))
    execute = {address for address, _ in preflight.asked(site, site.group("condor_execute")[0])["peers"]}
    assert {"10.1.0.21", "10.1.0.14", "10.1.0.41", "10.1.0.51"} <= execute


def test_docker_of_somebody_else_is_refused_where_the_site_wants_its_own(tmp_path: Path) -> None:
    site = load(tmp_path, replaced(("casa_site_name=casa", "casa_site_name=casa\ncasa_job_containers=docker")))
    said = {"programs": {"dockerd": "/usr/bin/dockerd"}, "marks": {"condor": ""}}
    [finding] = judged(site, {"exec-1": said}).found
    assert finding.refusal
    assert "its containers would lose their network" in finding.problem
    assert judged(site, {"exec-1": said | {"docker_is_ours": True}}).found == []
    assert "/var/lib/docker" in preflight.asked(site, site.group("condor_execute")[0])["paths"]


def test_a_rehearsals_hosts_need_no_comfort(rehearsal: Site) -> None:
    said = {host.name: spaces(rehearsal, host.name, 6, memory=15 * GIB, cores=2, cgroup=1) for host in rehearsal.hosts}
    assert judged(rehearsal, said).found == []


def authority(file: Path, begin: dt.datetime, end: dt.datetime) -> None:
    """A certificate for that time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end).sign(key, hashes.SHA256())
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize(("begin", "end", "refusal"), [
    (-9, -1, True), (1, 99, True), (-9, 20, False), (-9, 99, None)])
def test_authorities_are_valid(tmp_path: Path, begin: int, end: int, refusal: bool | None) -> None:
    authority(tmp_path / "ca.pem", NOW + dt.timedelta(begin), NOW + dt.timedelta(end))
    text = replaced(("casa_site_name=casa", 'casa_site_name=casa\ncasa_trusted_cas=["ca.pem"]'))
    found = judged(load(tmp_path, text), {}).found
    assert [(f.check, f.refusal) for f in found] == ([] if refusal is None else [("authorities", refusal)])
    assert all(str(f).startswith("casa_trusted_cas: CN=proxy in ") for f in found)


def test_findings_come_in_the_inventorys_order_and_marks_of_complete_phases_with_them(site: Site) -> None:
    of = "debian 13, 1 cores, 256 GiB, cgroup v2"
    findings = judged(site, {"dns-1": {"cores": 0}, "kube-1": {"cores": 1, "marks": {"base": f"abc {of}", "dns": ""}}})
    assert [f.host for f in findings.found] == ["kube-1", "dns-1"]
    assert findings.kinds["kube-1"] == of
    assert findings.marks["kube-1"] == {"base": "abc"}
    assert findings.marks["exec-1"] == {}


@pytest.mark.parametrize("changed", [{"cores": 2}, {"memory": 4 << 30}, {"cgroup": 1}])
def test_marks_of_a_host_that_has_become_another_do_not_count(site: Site, changed: dict[str, Any]) -> None:
    was = judged(site, {"exec-1": {}}).kinds["exec-1"]
    marks = {"marks": {"base": f"abc {was}"}}
    assert judged(site, {"exec-1": marks}).marks["exec-1"] == {"base": "abc"}
    assert judged(site, {"exec-1": marks | changed}).marks["exec-1"] == {}


def test_hosts_that_could_not_be_asked_are_a_refusal(site: Site) -> None:
    [finding] = judged(site, {}, (Failure("", "", "the runner\nfell over"),)).refusals
    assert str(finding) == "the hosts could not be asked: the runner fell over; mend what the log shows"


def test_ports_of_the_table_are_those_of_the_roles(site: Site) -> None:
    table = {part.title: part.tcp for part in components.COMPONENTS}
    assert [int(site.registry.rpartition(":")[2])] == list(table["the site registry"])
    assert f"bindPort: {table['the control plane'][3]}" in (
        ROOT / "roles/kubernetes/templates/kubeadm-init.yaml.j2").read_text()
    assert f":{table['the cache'][0]}" in (ROOT / "roles/xcache/tasks/service.yml").read_text()


def test_directories_of_the_table_are_those_of_the_roles() -> None:
    roles = "\n".join(file.read_text() for file in (ROOT / "roles").rglob("*") if file.is_file()
                      and file.suffix in (".yml", ".j2", ".sh"))
    for part in components.COMPONENTS:
        for place in part.places:
            assert place.path in roles or "every host" in part.title, place


def test_the_page_is_fresh() -> None:
    assert docs.PAGE.read_text() == docs.page(), "run python -m casa_install.preflight.docs"
