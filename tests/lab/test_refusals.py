"""A real site whose hosts are not fit: one run names each with its address and a remedy, and changes nothing.

The hosts are virtual, but casa-install does not know: it reads a copy of the example inventory, with ssh keys and
accounts such as an admin writes there.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from casa_install.rehearsal import hosts
from casa_install.rehearsal.commands import run
from tests.lab.test_lab import ssh

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "inventory" / "example"
NETWORK = IPv4Network("10.91.249.0/24")
VAULT_PASSWORD = "of the admin's own"  # noqa: S105
DEADLINE = 300
LEFT_OUT = ("run", "tmp", "var/tmp", "var/log", "var/backups", "var/lib/lastlog", "var/lib/systemd")
"""What a host writes by itself: for the moment, logs, copies, the record of logins, random seed and clocks."""

ACCOUNT = """\
useradd --create-home --shell /bin/bash deploy
echo deploy:right | chpasswd
install --owner=deploy --mode=700 --directory /home/deploy/.ssh
install --owner=deploy --mode=600 /root/.ssh/authorized_keys /home/deploy/.ssh/authorized_keys
"""
SUDO = ACCOUNT + "echo 'deploy ALL=(ALL) ALL' > /etc/sudoers.d/deploy\n"
DEBIAN_12 = """\
sed -i 's/13/12/g; s/trixie/bookworm/g' /usr/lib/os-release
echo 12.11 > /etc/debian_version
"""
ALMALINUX = """\
cat > /usr/lib/os-release <<'END'
NAME="AlmaLinux"
VERSION="9.6 (Sage Margay)"
ID="almalinux"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.6"
PRETTY_NAME="AlmaLinux 9.6 (Sage Margay)"
END
rm /etc/debian_version
"""


@dataclass(frozen=True)
class Case:
    """A host, what root did to it before, how the inventory reaches it, and what the admin has to read of it."""

    host: str
    done: str = ""
    reached: str = ""
    told: tuple[str, ...] = ()
    """Regular expressions, one for each refusal, of what stands behind name and address."""


UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()
CGROUP = () if UNIFIED else (r"has cgroup v1, which Kubernetes no longer supports; boot it with",)
"""What nodes are told where this machine, whose kernel they share, has no unified hierarchy alone."""

CASES = (
    Case("kube-1", told=CGROUP),
    Case("kube-2", told=(r"not reachable by ssh: .*No route to host; switch it on .*correct ansible_host",)),
    Case("kube-3", reached="ansible_ssh_private_key_file={folder}/other_key",
         told=(r"its sshd does not let the account in: root@\S+ Permission denied \(publickey\); "
               r"put the public key into the account's authorized_keys",)),
    Case("gateway-1", DEBIAN_12, told=(r"runs Debian GNU/Linux 12 \(bookworm\); install Debian 13", *CGROUP)),
    Case("condor-1", ACCOUNT, "ansible_user=deploy",
         (r"no root rights, sudo refuses the account: deploy is not in the sudoers file; let ansible_user use sudo",)),
    Case("exec-1", SUDO, "ansible_user=deploy",
         (r"no root rights, sudo asks for a password: Missing sudo password; .*set ansible_become_password",)),
    Case("exec-2", SUDO, "ansible_user=deploy",
         (r"no root rights, sudo refuses the password: Incorrect sudo password; correct ansible_become_password",)),
    Case("exec-3", "rm /usr/bin/python3", told=(r"no Python: .*not found; install the package python3",)),
    Case("exec-4", f"{ACCOUNT}rm /usr/bin/sudo", "ansible_user=deploy",
         (r"no root rights, there is no sudo: .*sudo: not found; install the package sudo",)),
    Case("exec-5", SUDO, "ansible_user=deploy"),
    Case("exec-6", SUDO, "ansible_user=deploy ansible_become=false",
         (r"no root rights: commands run there with uid \d+, without sudo; take ansible_become=false out of .*root$",)),
    Case("xcache-1", f"{ACCOUNT}{ALMALINUX}", "ansible_user=deploy",
         (r"no root rights, sudo asks for a password: Missing sudo password; let ansible_user use sudo",
          r"runs AlmaLinux 9\.6 \(Sage Margay\); install Debian 13")),
    Case("dns-1", reached="ansible_ssh_common_args='-o UserKnownHostsFile=/dev/null -o IdentitiesOnly=yes'",
         told=(r"its host key is unknown: Host key verification failed; "
               r"compare its host key's fingerprint .*known_hosts",)),
)
SUDO_PASSWORDS = {"condor-1": "right", "exec-2": "wrong", "exec-5": "right"}
OFF = "kube-2"
ADDRESSES = {case.host: NETWORK[11 + number] for number, case in enumerate(CASES)}


def vaulted(name: str, secret: str) -> str:
    """A variable as ``ansible-vault encrypt_string`` writes it."""
    sealed = VaultLib([("default", VaultSecret(VAULT_PASSWORD.encode()))]).encrypt(secret).decode()
    return f"{name}: !vault |\n" + "".join(f"  {line}\n" for line in sealed.splitlines())


def write_inventory(folder: Path, lab: hosts.Lab) -> Path:
    """The example, edited as its comments say."""
    text = (EXAMPLE / "site.ini").read_text()
    text = re.sub(r"^(exec-2 .*)$", r"\1\nexec-3\nexec-4\nexec-5\nexec-6", text, flags=re.MULTILINE)
    for case in CASES:
        reached = case.reached.format(folder=folder)
        text = re.sub(rf"^{case.host}( ansible_host=CHANGEME)?", f"{case.host} ansible_host={ADDRESSES[case.host]} "
                      f"{reached}", text, count=1, flags=re.MULTILINE)
    arguments = f"-o UserKnownHostsFile={lab.known_hosts} -o IdentitiesOnly=yes"
    for old, new in {
        "ansible_user=root": f"ansible_user=root\nansible_ssh_private_key_file={lab.private_key}\n"
                             f"ansible_ssh_common_args={arguments}",
        "casa_network=CHANGEME": f"casa_network={NETWORK}",
        "casa_public_address=CHANGEME": f"casa_public_address={NETWORK[200]}",
        "casa.CHANGEME": "casa.physics.test", "T2_CHANGEME": "T2_XX_Physics", '["CHANGEME"]': '["alice"]',
        "CHANGEME": "login.physics.test",
    }.items():
        assert old in text
        text = text.replace(old, new)
    variables = (EXAMPLE / "group_vars" / "all.yml").read_text()
    secret = vaulted("casa_oidc_client_secret", "of the hub")
    files = {"site.ini": text, "password": VAULT_PASSWORD,
             "group_vars/all.yml": variables.replace("casa_oidc_client_secret: CHANGEME\n", secret),
             **{f"host_vars/{host}.yml": vaulted("ansible_become_password", password)
                for host, password in SUDO_PASSWORDS.items()}}
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "other_key")
    return folder / "site.ini"


@pytest.fixture(scope="module")
def lab() -> Iterator[hosts.Lab]:
    """The hosts, each with what is wrong with it."""
    hosts.down("refusals")
    lab = hosts.Lab("refusals", NETWORK, ADDRESSES, "physics.test")
    try:
        lab.up()
        for case in CASES:
            ssh(lab, case.host, f"set -e\nsystemctl is-system-running --wait\n{case.done}")
        hosts.kill(lab.name, OFF)
        yield lab
    finally:
        lab.down()


def picture(lab: hosts.Lab, host: str, where: str = "/") -> str:
    """Every path of a host's disk, or of folders, with mode, owner, size and the time of its inode's last change.

    Nobody can write a file, or touch its owner or mode, and set that time back.
    """
    left_out = " -o ".join(f"-path /{path}" for path in LEFT_OUT)
    return ssh(lab, host, rf"find {where} -xdev \( {left_out} \) -prune -o -printf '%p %y %m %U:%G %s %C@ %l\n' | sort")


@dataclass(frozen=True)
class Ran:
    """Two runs on the site, the second while the first held it, and what there was before and after."""

    inventory: Path
    first: subprocess.CompletedProcess[str]
    process: int
    second: subprocess.CompletedProcess[str]
    before: dict[str, str]
    after: dict[str, str]

    def refusals(self) -> list[str]:
        """Lines of the first run that refuse a host."""
        return [line for line in self.first.stdout.splitlines() if line.startswith("refused: ")]


def _held_by(process: int, lock: Path) -> bool:
    try:
        return bool(json.loads(lock.read_text())["pid"] == process)
    except (FileNotFoundError, ValueError):
        return False


@pytest.fixture(scope="module")
def ran(lab: hosts.Lab, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The program is run on the site, and once more while the first run is stopped in the middle."""
    folder = tmp_path_factory.mktemp("site")
    inventory = write_inventory(folder, lab)
    command = [str(ROOT / "casa-install"), "--inventory", str(inventory)]
    environment = os.environ | {"ANSIBLE_VAULT_PASSWORD_FILE": str(folder / "password"),
                                "CASA_CACHE": str(folder / "cache"), "XDG_CONFIG_HOME": str(folder / "config")}
    before = {host: picture(lab, host) for host in lab.hosts if host != OFF}
    with subprocess.Popen(command, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as running:
        try:
            deadline = time.monotonic() + DEADLINE
            while not _held_by(running.pid, folder / ".casa" / "lock"):
                assert running.poll() is None and time.monotonic() < deadline, "the first run never held the site"
                time.sleep(0.01)
            running.send_signal(signal.SIGSTOP)
            second = subprocess.run(command, env=environment, text=True, stdin=subprocess.DEVNULL,
                                    capture_output=True, check=False)
            running.send_signal(signal.SIGCONT)
            output, _ = running.communicate(timeout=DEADLINE)
        except BaseException:
            running.kill()
            raise
    print(output)
    first = subprocess.CompletedProcess(command, running.returncode, output)
    after = {host: picture(lab, host) for host in lab.hosts if host != OFF}
    return Ran(inventory, first, running.pid, second, before, after)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.host)
def test_a_host_is_named_with_its_address_and_a_remedy(ran: Ran, case: Case) -> None:
    told = [line for line in ran.refusals() if line.startswith(f"refused: {case.host} ({ADDRESSES[case.host]}): ")]
    assert len(told) == len(case.told), told
    for line, wanted in zip(told, case.told, strict=True):
        assert re.search(rf"\): {wanted}", line), line


def test_one_run_tells_everything_and_no_more(ran: Ran) -> None:
    assert ran.first.returncode == 2
    assert len(ran.refusals()) == sum(len(case.told) for case in CASES)
    named = [line.split()[1] for line in ran.refusals()]
    assert list(dict.fromkeys(named)) == [host for host in ADDRESSES if host in named], "not in the inventory's order"
    assert "Nothing was changed." in ran.first.stdout.splitlines()
    assert "Traceback" not in ran.first.stdout
    log = re.search(r"^  log:  (\S+)$", ran.first.stdout, re.MULTILINE)
    assert log
    assert "Missing sudo password" in Path(log[1]).read_text()


@pytest.mark.parametrize("host", [host for host in ADDRESSES if host != OFF])
def test_no_host_was_changed(ran: Ran, host: str) -> None:
    changed = set(ran.before[host].splitlines()) ^ set(ran.after[host].splitlines())
    assert "\n".join(sorted(changed)) == ""
    assert "/etc/passwd f 644" in ran.after[host], "there is something to compare"


def test_a_host_that_is_off_stays_off(ran: Ran, lab: hosts.Lab) -> None:
    assert lab.status()[OFF] == "down"


def test_nothing_was_built_and_no_phase_began(ran: Ran) -> None:
    assert not (ran.inventory.parent / "cache").exists()
    state = ran.inventory.parent / ".casa"
    assert [path.name for path in state.glob("logs/*/*")] == ["preflight.log"]
    with sqlite3.connect(f"file:{state / 'journal.sqlite'}?mode=ro", uri=True) as journal:
        assert journal.execute("select verb, verdict from run").fetchall() == [("apply", "refused")]
        assert journal.execute("select count(*) from phase").fetchone() == (0,)
        assert journal.execute("select count(*) from change").fetchone() == (0,)


def test_a_second_run_is_refused_and_told_who_holds_the_site(ran: Ran) -> None:
    assert ran.second.returncode == 2
    assert re.fullmatch(rf"this site is being worked on by \S+'s process {ran.process} on \S+, since \S+: "
                        r"wait until it ends\n", ran.second.stderr)
    assert ran.second.stdout == ""
