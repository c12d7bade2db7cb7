"""The verb check on real hosts with real obstacles: it finds each, and changes nothing. Then the verb diagnose there.

Clocks are judged from facts alone (tests/unit/test_preflight.py): a virtual host has the machine's, and cannot set it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from casa_install.credentials.redaction import forms_of
from casa_install.facility import Facility
from casa_install.rehearsal import hosts
from tests.lab.test_lab import ssh
from tests.lab.test_refusals import CGROUP, picture

ROOT = Path(__file__).resolve().parents[2]
NETWORK = IPv4Network("10.97.11.0/24")
HOSTS = {"node-1": NETWORK[11], "pool-1": NETWORK[12], "dns-1": NETWORK[13]}
INVENTORY = """\
[kube_control]
node-1 ansible_host={node-1}
[kube_workers]
pool-1 ansible_host={pool-1}
[gateway]
pool-1
[condor_manager]
pool-1
[condor_access]
pool-1
[condor_execute]
pool-1
[xcache]
pool-1
[dns]
dns-1 ansible_host={dns-1}
[registry]
dns-1
[all:vars]
ansible_user=root
ansible_ssh_private_key_file={key}
ansible_ssh_common_args=-o UserKnownHostsFile={known_hosts} -o IdentitiesOnly=yes
casa_site_name=check
casa_domain=casa.lan
casa_network={network}
casa_public_address={public}
casa_authenticator=dummy
casa_users=["alice"]
casa_xcache_origin=storage.casa.lan:1094
casa_xcache_memory=1
"""
OBSTACLES = {
    "node-1": """\
printf '#!/bin/sh\\n' > /usr/bin/containerd; chmod 755 /usr/bin/containerd
echo '10.97.11.99 registry.casa.lan' >> /etc/hosts
mkdir -p /var/lib/containerd; mount -t tmpfs -o size=64m,nr_inodes=100 none /var/lib/containerd
nft add table inet site
nft 'add chain inet site input { type filter hook input priority 0; policy accept; }'
nft add rule inet site input tcp dport 8081 drop
ip route add 10.97.11.12/32 via 10.97.11.1
settings=/boot/config-$(uname -r); test ! -e /proc/config.gz || settings=/proc/config.gz
printf 'CONFIG_%s=y\\n' BPF_SYSCALL BPF_JIT CGROUP_BPF NET_CLS_ACT NET_SCH_INGRESS VETH OVERLAY_FS > /boot/lacking
echo 'CONFIG_NET_CLS_BPF=m' >> /boot/lacking
case $settings in
    *.gz) gzip /boot/lacking; mount --bind /boot/lacking.gz $settings;;
    *) mv /boot/lacking $settings;;
esac
controllers=/proc/cgroups; test ! -e /sys/fs/cgroup/cgroup.controllers || controllers=/sys/fs/cgroup/cgroup.controllers
sed '/^cpuset/s/1$/0/; s/cpuset //' $controllers > /root/controllers; mount --bind /root/controllers $controllers
""",
    "pool-1": """\
sed -i '/pool-1/d' /etc/hosts; echo '127.0.1.1 pool-1.casa.lan pool-1' >> /etc/hosts
systemd-run --quiet --unit=squatter python3 -m http.server 9618
mkdir -p /var/lib/condor; mount -t tmpfs -o noexec none /var/lib/condor
echo 0 > /root/none; mount --bind /root/none /proc/sys/user/max_user_namespaces
for n in 1 2 3 4 5 6 7 8 9; do sleep 0.2; ss -tln | grep -q :9618 && break; done
""",
    # a run of this site was killed while it installed BIND; nginx was there before
    "dns-1": """\
for program in named nginx; do printf '#!/bin/sh\\n' > /usr/sbin/$program; chmod 755 /usr/sbin/$program; done
printf '#!/bin/sh\\n' > /usr/bin/unattended-upgrade; chmod 755 /usr/bin/unattended-upgrade
echo 'Unattended-Upgrade::Automatic-Reboot "true";' > /etc/apt/apt.conf.d/52reboot
mount -t tmpfs -o size=64m none /var/cache/apt
mkdir -p /var/lib/casa-install/begun; touch /var/lib/casa-install/begun/dns
nft add table inet site
nft 'add chain inet site input { type filter hook input priority 0; policy accept; }'
nft add rule inet site input ip saddr 10.97.11.12 drop
""",
}

NO_NAMES = f"echo nameserver {HOSTS['dns-1']} > /etc/resolv.conf\n"
"""Names are asked of a host where no name server runs: no question leaves this machine."""


@dataclass(frozen=True)
class Told:
    """A finding: host, check, whether it is a refusal, and what its problem reads like."""

    host: str
    check: str
    refusal: bool
    problem: str


TOLD = (
    Told("", "delegation", False, r"this machine's name service has no address of hub\.casa\.lan, .*"),
    Told("node-1", "disk", True, r"has 0\.1 GiB free for /var/lib/containerd, and 3\.0 are needed"),
    Told("node-1", "disk", True, r"has \d\d free inodes for /var/lib/containerd, and 150000 are needed"),
    Told("dns-1", "disk", True, r"has 0\.1 GiB free for /var/cache/apt, and 0\.5 are needed"),
    *(Told(host, "kernel", True, "has cgroup v1, .*") for host in ("node-1", "pool-1") for _ in CGROUP),
    Told("node-1", "kernel", True, r"its kernel \S+ has neither these options nor their modules: NET_CLS_BPF"),
    Told("node-1", "kernel", True, "its cgroups do not control cpuset"),
    Told("node-1", "ways", True, r"reaches pool-1 \(10\.97\.11\.12\) by the router 10\.97\.11\.1"),
    Told("pool-1", "disk", True, "/var/lib/condor is on a file system that is mounted noexec, and jobs .*"),
    Told("pool-1", "kernel", True, r"user\.max_user_namespaces keeps users from making namespaces.*"),
    Told("dns-1", "kernel", False, "reboots by itself after upgrades.*"),
    Told("node-1", "names", True,
         r"its /etc/hosts gives registry\.casa\.lan the address 10\.97\.11\.99, which is 10\.97\.11\.13"),
    Told("node-1", "firewall", False, r"drops packets that come in \(nftables chain inet site input\)"),
    Told("node-1", "software", True, "/usr/bin/containerd is not of this site, and its unit.*"),
    Told("pool-1", "names", False,
         r"its /etc/hosts gives pool-1 the address 127\.0\.1\.1, which is 10\.97\.11\.12"),
    Told("pool-1", "names", False,
         r"its /etc/hosts gives pool-1\.casa\.lan the address 127\.0\.1\.1, which is 10\.97\.11\.12"),
    Told("pool-1", "ports", True, r"tcp port 9618, which HTCondor needs, is taken by python3 \(pid \d+\)"),
    Told("pool-1", "ways", False, r"cannot connect to tcp port 53, 5000 of dns-1 \(10\.97\.11\.13\): .*"),
    Told("dns-1", "firewall", False, r"drops packets that come in \(nftables chain inet site input\)"),
    Told("dns-1", "software", False, "/usr/sbin/nginx is not of this site: it stays as it is.*"),
)
COMFORT = re.compile("comfortable")
"""What the machine below the hosts may have too little of: told or not, it is no matter of these obstacles."""


@dataclass(frozen=True)
class Ran:
    """What check said, and the hosts before and after."""

    code: int
    said: dict[str, Any]
    before: dict[str, str]
    after: dict[str, str]
    diagnosis: subprocess.CompletedProcess[str]
    """Of the verb diagnose afterwards, when secrets stand in logs and node-1 no longer answers."""
    secret: str
    """One of the vault's."""
    archive: Path


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZUBjYXNhIn0.c2lnbmF0dXJl"  # noqa: S105 - of nobody
SPOKEN = """\
set -e
logger --tag casa-test 'the password is SECRET'
systemd-run --quiet --unit=casa-loud --property=Type=oneshot --property=RemainAfterExit=yes \\
    sh -c 'echo said SECRET; echo coded BASE64'
mkdir -p /var/log/condor
cat > /var/log/condor/StartLog <<'END'
the job began with TOKEN
-----BEGIN PRIVATE KEY-----
bm9ib2R5J3Mga2V5
-----END PRIVATE KEY-----
SECRET in another line
the job ended
END
"""


def spoil(lab: hosts.Lab, secret: str) -> None:
    """Secrets come into logs of pool-1, and node-1 is lost."""
    coded = base64.b64encode(f"alice:{secret}!".encode()).decode()
    ssh(lab, "pool-1", SPOKEN.replace("SECRET", secret).replace("BASE64", coded).replace("TOKEN", TOKEN))
    ssh(lab, "node-1", "systemctl stop ssh.socket ssh.service", check=False)


def write_inventory(folder: Path, lab: hosts.Lab) -> Path:
    """The site of a lab's three hosts."""
    filled = {"{key}": lab.private_key, "{known_hosts}": lab.known_hosts, "{network}": lab.network,
              "{public}": lab.network[200], **{f"{{{name}}}": address for name, address in lab.hosts.items()}}
    text = INVENTORY
    for name, value in filled.items():
        text = text.replace(name, str(value))
    (folder / "site.ini").write_text(text)
    return folder / "site.ini"


def environment(folder: Path) -> dict[str, str]:
    """That of a program which keeps everything in a folder."""
    return os.environ | {"CASA_CACHE": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}


def check(inventory: Path, name_server: IPv4Address) -> subprocess.CompletedProcess[str]:
    """Run the real command on a machine that asks that name server for names."""
    (inventory.parent / "resolv.conf").write_text(f"nameserver {name_server}\n")
    names = 'mount --bind "$0" "$(readlink --canonicalize /etc/resolv.conf)" && exec "$@"'
    done = subprocess.run(["unshare", "--mount", "sh", "-c", names, str(inventory.parent / "resolv.conf"),
                           str(ROOT / "casa-install"), "check", "--inventory", str(inventory), "--json"],
                          env=environment(inventory.parent), text=True, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    print(done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The obstacles are made, and the real command is run."""
    folder = tmp_path_factory.mktemp("site")
    hosts.down("check")
    lab = hosts.Lab("check", NETWORK, HOSTS, "casa.lan")
    try:
        lab.up()
        for host, made in OBSTACLES.items():
            ssh(lab, host, f"set -e\nsystemctl is-system-running --wait\n{NO_NAMES}{made}")
        inventory = write_inventory(folder, lab)
        before = {host: picture(lab, host) for host in HOSTS}
        done = check(inventory, HOSTS["dns-1"])
        after = {host: picture(lab, host) for host in HOSTS}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
            with contextlib.closing(Facility.open(inventory)) as facility:
                secret = facility.credentials.secret("hub-dummy-password", 8)
        spoil(lab, secret)
        archive = folder / "for-an-expert.tar.gz"
        diagnosis = subprocess.run([str(ROOT / "casa-install"), "diagnose", "--inventory", str(inventory),
                                    "--output", str(archive)], env=environment(folder), text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   check=False)
        print(diagnosis.stdout)
        yield Ran(done.returncode, json.loads(done.stdout), before, after, diagnosis, secret, archive)
    finally:
        lab.down()


def findings(said: Mapping[str, Any]) -> list[tuple[str, str, bool, str]]:
    """Host, check, refusal, problem of each finding."""
    return [(row["host"], row["check"], kind == "refusals", row["problem"]) for kind in ("refusals", "warnings")
            for row in said[kind] if not COMFORT.search(row["problem"])]


def found(told: Told, said: Mapping[str, Any]) -> bool:
    """Whether a finding is among those that were said."""
    return any((host, check, refusal) == (told.host, told.check, told.refusal) and re.fullmatch(told.problem, problem)
               for host, check, refusal, problem in findings(said))


@pytest.mark.parametrize("told", TOLD, ids=lambda told: f"{told.host}-{told.check}")
def test_an_obstacle_is_found(ran: Ran, told: Told) -> None:
    assert found(told, ran.said), findings(ran.said)


def test_nothing_else_is_found(ran: Ran) -> None:
    assert len(findings(ran.said)) == len(TOLD), findings(ran.said)
    assert all(row["remedy"] and row["address"] == str(HOSTS.get(row["host"], ""))
               for rows in (ran.said["refusals"], ran.said["warnings"]) for row in rows)


def test_refusals_are_told_by_the_exit_status(ran: Ran) -> None:
    assert ran.code == 2


@pytest.mark.parametrize("host", HOSTS)
def test_no_host_was_changed(ran: Ran, host: str) -> None:
    changed = set(ran.before[host].splitlines()) ^ set(ran.after[host].splitlines())
    assert "\n".join(sorted(changed)) == ""
    assert "/etc/passwd f 644" in ran.after[host], "there is something to compare"


@pytest.fixture(scope="module")
def packed(ran: Ran) -> dict[str, str]:
    """File in the archive, without its top folder -> its text."""
    with tarfile.open(ran.archive) as tar:
        return {member.name.partition("/")[2]: file.read().decode() for member in tar
                if (file := tar.extractfile(member))}


def test_the_archive_is_named_and_whole_but_for_the_host_that_is_lost(ran: Ran, packed: dict[str, str]) -> None:
    assert ran.diagnosis.returncode == 1
    *_, last = ran.diagnosis.stdout.splitlines()
    assert re.fullmatch(rf"2 of 3 hosts were asked\. Send this file: {ran.archive} \(\d+\.\d MB\)", last)
    assert ran.archive.stat().st_mode & 0o777 == 0o600
    assert "not asked: node-1: " in packed["README.txt"]
    assert {name.split("/")[1] for name in packed if name.startswith("hosts/")} == {"pool-1", "dns-1"}
    for name in ("report/report.html", "journal.json", "preflight.json", "machine.json", "hosts/dns-1/system.txt",
                 "hosts/dns-1/firewall.txt", "hosts/pool-1/names.txt", "hosts/pool-1/clock.txt"):
        assert packed[name].strip(), name
    assert "drop" in packed["hosts/dns-1/firewall.txt"]
    assert "tcp port 9618, which HTCondor needs, is taken by python3" in packed["README.txt"]


def test_no_secret_leaves_the_hosts_and_what_stood_around_them_is_there(ran: Ran, packed: dict[str, str]) -> None:
    everything = "\n".join([*packed, *packed.values(), ran.diagnosis.stdout])
    assert [form for form in forms_of(ran.secret) if form in everything] == []
    assert TOKEN not in everything
    assert "bm9ib2R5J3Mga2V5" not in everything
    name = "[secret secret hub-dummy-password]"
    assert packed["hosts/pool-1/logs/condor/StartLog.txt"].splitlines() == [
        "the job began with [secret token]", "[secret private key]", f"{name} in another line", "the job ended"]
    said = packed["hosts/pool-1/journal/casa-loud.service.txt"]
    assert f"said {name}" in said
    assert re.search(rf"coded \S+{re.escape(name)}", said)
    assert "pool-1: secret hub-dummy-password: " in packed["README.txt"]


def test_nothing_of_the_diagnosis_stays_on_this_machine_but_the_archive(ran: Ran) -> None:
    state = ran.archive.parent / ".casa"
    assert {path.name for path in (state / "diagnose").iterdir()} == {"lock"}
    forms = [form.encode() for form in forms_of(ran.secret)]
    assert [path for path in state.rglob("*") if path.is_file() for form in forms if form in path.read_bytes()] == []
