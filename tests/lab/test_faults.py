"""Real faults on real hosts: what the admin reads names host and step, says the cause in a sentence, and what to do.

Each fault is made on a virtual host and met by a task of a kind that the roles use, run as the program runs its own.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from casa_install import cli, verbs
from casa_install.engine import playbook
from casa_install.engine.aftermath import explained
from casa_install.engine.connections import Connections
from casa_install.engine.converge import Verdict
from casa_install.engine.playbook import Failure, Listener, Play, Target
from casa_install.rehearsal import hosts
from tests.lab.test_lab import ssh

NETWORK = IPv4Network("10.91.248.0/24")
HOSTS = {f"host-{number}": NETWORK[10 + number] for number in range(1, 7)}
PEER = NETWORK[20]
LOST = "lost-1"
TASK = "The step is done"


@dataclass(frozen=True)
class Fault:
    """What is wrong on host-1, the task that meets it, and what has to be read."""

    name: str
    made: str
    """Shell commands that make the fault."""
    task: dict[str, Any]
    meaning: str
    """Regular expression of the whole sentence."""
    remedy: str
    undone: str = "true"


def start(unit: str) -> dict[str, Any]:
    """A task that starts a unit."""
    return {"ansible.builtin.systemd_service": {"name": unit, "state": "started", "daemon_reload": True}}


def install(package: str, **options: object) -> dict[str, Any]:
    """A task that installs a package."""
    return {"ansible.builtin.apt": {"name": package, "state": "present", **options}}


def fetch(url: str, **options: object) -> dict[str, Any]:
    """A task that asks a server."""
    return {"ansible.builtin.uri": {"url": url, "ca_path": "/root/ca.pem", "timeout": 5, **options}}


def unit(name: str, command: str, more: str = "") -> str:
    """Shell commands that write a unit."""
    return (f"cat > /etc/systemd/system/{name}.service <<'END'\n[Service]\nExecStart={command}\n{more}\nEND\n")


def source(line: str, before: str = "true") -> str:
    """Shell commands that make this the host's only package source."""
    away = "mkdir -p /root/apt && mv /etc/apt/sources.list.d/* /etc/apt/sources.list /root/apt 2> /dev/null"
    return (f"{away}\n{before}\n"
            f"echo '{line}' > /etc/apt/sources.list")


SOURCES_BACK = ("rm -f /etc/apt/sources.list; cd /root/apt; for f in *; do case $f in sources.list) mv $f /etc/apt/ ;; "
                "*) mv $f /etc/apt/sources.list.d/ ;; esac; done; rm -rf /var/lib/apt/lists/*_repo_*")
UPDATE: dict[str, Any] = {"ansible.builtin.apt": {"update_cache": True, "update_cache_retries": 1}}
REPO = "rm -rf /srv/repo; mkdir -p /srv/repo; cd /srv/repo; echo > Packages"
UNSIGNED = (f"{REPO}; printf 'Date: Mon, 01 Jun 2026 00:00:00 UTC\\nSHA256:\\n %s %s Packages\\n' "
            '"$(sha256sum < Packages | cut -c-64)" "$(stat -c %s Packages)" > Release')
DAMAGED = f"{UNSIGNED}; echo more > Packages"
CONTRADICTED = (f"{REPO}; printf 'Package: casa-broken\\nVersion: 1\\nArchitecture: all\\nDepends: casa-nonesuch\\n"
                f"Filename: ./x.deb\\nSize: 1\\nSHA256: %064d\\nDescription: x\\nMaintainer: x\\n' 0 > Packages")
SERVERS = """\
set -e
cd /root
request() { openssl req -new -nodes -newkey rsa:2048 -keyout $1.key -out $1.csr -subj /CN=$1 2> /dev/null; }
authority() { openssl req -x509 -nodes -newkey rsa:2048 -keyout $1.key -out $1.pem -subj /CN=$1 -days 3 \\
    -addext keyUsage=critical,keyCertSign 2> /dev/null; }
authority ours; authority theirs
sign() {
    request $1; echo "subjectAltName=IP:$3" > $1.ext
    openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -extfile $1.ext -out $1.pem \
        -not_before $4 -not_after $5 2> /dev/null
}
sign foreign theirs PEER 20260101000000Z 20400101000000Z
sign expired ours PEER 20260101000000Z 20260201000000Z
sign other ours 10.0.0.1 20260101000000Z 20400101000000Z
sign right ours PEER 20260101000000Z 20400101000000Z
serve() { systemd-run --quiet --unit=serve-$1 openssl s_server -accept $1 -cert /root/$2.pem -key /root/$2.key -www; }
serve 8441 foreign; serve 8442 expired; serve 8443 other; serve 8444 right
cat > refuse.py <<'END'
from http.server import BaseHTTPRequestHandler, HTTPServer
class Refuse(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401, "Unauthorized"); self.end_headers()
HTTPServer(("", 8445), Refuse).serve_forever()
END
systemd-run --quiet --unit=refuse python3 /root/refuse.py
systemd-run --quiet python3 -c 'import socket, time; s = socket.create_server(("", 8446)); time.sleep(999)'
""".replace("PEER", str(PEER))
SMALL = "mkdir -p /srv/small && mount -t tmpfs -o size=64k none /srv/small && " \
    "head -c 1M /dev/zero > /srv/small/rest 2> /dev/null; true"
COPY: dict[str, Any] = {"ansible.builtin.copy": {"content": "x" * 2000, "dest": "/srv/small/file", "mode": "0644"}}
# a virtual host has its machine's clock, so that every program of the host is told another time instead
IN_THE_FUTURE = ("apt-get -q install --yes libfaketime && cp /root/.bashrc /root/bashrc && "
                 "(echo 'export LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=+20y'; "
                 "cat /root/bashrc) > /root/.bashrc")
FAULTS = (
    Fault("disk-full", SMALL, COPY, "there is no space left on the host.*", "free space", "umount /srv/small"),
    Fault("disk-full-daemon", SMALL + "; " + unit("casa-writer", "/bin/sh -c 'echo data > /srv/small/data 2>/dev/null'",
                                                  "Type=oneshot"),
          start("casa-writer"), "the file system at /srv/small is full", "free space", "umount /srv/small"),
    Fault("port-taken", "systemd-run --quiet --unit=squatter python3 -m http.server 8080; sleep 1; "
          + unit("casa-sshd", "/usr/sbin/sshd -D -p 8080 -o ListenAddress=0.0.0.0", "Type=notify"),
          start("casa-sshd"), r"port 8080 is taken by python3 \(pid \d+\)", "stop the program",
          "systemctl stop squatter"),
    Fault("bad-configuration", "echo Nonsense yes > /etc/bad; " + unit("casa-sshd", "/usr/sbin/sshd -D -f /etc/bad",
                                                                       "Type=notify"),
          start("casa-sshd"), "casa-sshd.service does not stay up: .*/etc/bad.*bad configuration options",
          "journalctl --unit casa-sshd.service"),
    Fault("crash-loop", unit("casa-loop", "/bin/sh -c 'echo no key in /etc/key >&2; exit 3'",
                             "Restart=always\nRestartSec=30") + "systemctl daemon-reload; systemctl start casa-loop",
          {"ansible.builtin.command": {"cmd": "curl --silent --fail http://127.0.0.1:4321/"}},
          "casa-loop.service does not stay up: no key in /etc/key", "journalctl",
          "systemctl stop casa-loop; systemctl reset-failed"),
    Fault("crash-then-silence", unit("casa-loop", "/bin/sh -c 'echo the key is no key >&2; exit 3'",
                                     "Restart=always\nRestartSec=30")
          + "systemctl daemon-reload; systemctl start casa-loop",
          {"ansible.builtin.wait_for": {"port": 4321, "timeout": 1}},
          "casa-loop.service does not stay up: the key is no key", "journalctl", "systemctl stop casa-loop"),
    Fault("memory", "true", {"ansible.builtin.shell": {"cmd": "ulimit -v 20000; head -c 100M /dev/zero | tail"}},
        "there is too little memory on the host", "give it more"),
    Fault("read-only", "mkdir -p /srv/ro && mount -t tmpfs -o ro none /srv/ro",
          {"ansible.builtin.copy": {"content": "x", "dest": "/srv/ro/file", "mode": "0644"}},
          r"a place on the host cannot be written to \(/srv/ro\)", "dmesg", "umount /srv/ro"),
    Fault("not-allowed", "true",
          {"ansible.builtin.command": {"cmd": "runuser -u nobody -- touch /root/file"}},
          "the host does not allow it", "SELinux"),
    Fault("unit-masked", "systemctl mask casa-hidden.service", start("casa-hidden"),
          r"the unit casa-hidden(\.service)? is masked", "systemctl unmask", "systemctl unmask casa-hidden"),
    Fault("unit-missing", "true", start("casa-nowhere"), "the host has no unit casa-nowhere", "package"),
    Fault("id-taken", "useradd --uid 6440 somebody", {"ansible.builtin.user": {"name": "cms-jovyan", "uid": 6440}},
          "a number of an account that is needed is taken on the host.*", "getent", "userdel somebody"),
    Fault("module-missing", "true", {"ansible.builtin.command": {"cmd": "modprobe casa_nonsense"}},
          r"the host's kernel lacks a module \(casa_nonsense\)", "kernel"),
    Fault("dpkg-interrupted", "mkdir -p /var/lib/dpkg/updates; printf 'Package: dpkg\\n' > /var/lib/dpkg/updates/0001",
          install("hello"), "an earlier installation of packages was interrupted on the host", "dpkg --configure -a",
          "rm /var/lib/dpkg/updates/0001"),
    Fault("dpkg-locked", "systemd-run --quiet --unit=locker python3 -c \"import fcntl, time; f = open('/var/lib/dpkg/"
          "lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(60)\"; sleep 1",
          install("hello", lock_timeout=1), "another program has been installing packages on the host for too long.*",
          "let it end", "systemctl stop locker"),
    Fault("package-unknown", "true", install("casa-nonesuch"),
          r"the host's package sources do not have a package that is needed \(casa-nonesuch\)", "sources.list.d"),
    Fault("mirror-unreachable", source(f"deb [trusted=yes] http://admin:word@{PEER}:81/repo ./"), UPDATE,
          f"the package source http://{PEER}:81/repo cannot be reached: Connection refused", "casa_debian_mirror",
          SOURCES_BACK),
    Fault("mirror-unresolved", source("deb [trusted=yes] http://mirror.nowhere.test/repo ./"), UPDATE,
          "the package source http://mirror.nowhere.test/repo cannot be reached: its name cannot be resolved",
          "casa_debian_mirror", SOURCES_BACK),
    Fault("mirror-unsigned", source("deb file:/srv/repo ./", UNSIGNED), UPDATE,
          "the host's package sources are not signed by a key that it knows", "Signed-By", SOURCES_BACK),
    Fault("mirror-damaged", source("deb [trusted=yes] file:/srv/repo ./", DAMAGED), UPDATE,
          "the package mirror is being changed, or something on the way alters what it sends", "wait", SOURCES_BACK),
    Fault("package-contradicted", source("deb [trusted=yes] file:/srv/repo ./", CONTRADICTED) + "; apt-get -q update",
          install("casa-broken"), "packages of the host contradict those that are needed.*", "apt-mark showhold",
          SOURCES_BACK),
    Fault("name-unresolved", "true", fetch("https://hub.nowhere.test/"),
          r"a name cannot be resolved.*", "/etc/resolv.conf"),
    Fault("server-stopped", "true", fetch(f"https://{PEER}:5000/v2/"),
          r"nothing listens at a place that is needed.*", "which daemon"),
    Fault("authority-unknown", "true", fetch(f"https://{PEER}:8441/"),
          "a certificate is signed by an authority that is not trusted there", "casa_trusted_cas"),
    Fault("certificate-expired", "true", fetch(f"https://{PEER}:8442/"),
          "a certificate is not valid at this time", "renew"),
    Fault("wrong-clock", IN_THE_FUTURE, fetch(f"https://{PEER}:8444/"),
          r"the host's clock is \d+ s ahead of this machine's", "timedatectl", "mv /root/bashrc /root/.bashrc"),
    Fault("certificate-of-another", "true", fetch(f"https://{PEER}:8443/"),
          "a certificate is made for another name.*", "let the server use"),
    Fault("credentials-refused", "true", fetch(f"http://{PEER}:8445/secret", status_code=200),
          "a server refuses the credentials", "compare"),
    Fault("silent-server", "true", fetch(f"http://{PEER}:8446/"), "something did not answer in time",
          "see on the host"),
    Fault("configuration-refused", "true", {"ansible.builtin.copy": {
        "content": "Nonsense yes\n", "dest": "/etc/ssh/sshd_config.d/casa.conf", "mode": "0644",
        "validate": "/usr/sbin/sshd -t -f %s"}},
        "a program does not accept the settings that are made for it.*", "setting"),
)


@pytest.fixture(scope="module")
def lab() -> Iterator[hosts.Lab]:
    """Hosts that are worked on, and one that serves."""
    hosts.down("faults")
    lab = hosts.Lab("faults", NETWORK, HOSTS | {"peer-1": PEER, LOST: NETWORK[21]}, "faults.test")
    try:
        lab.up()
        ssh(lab, "peer-1", SERVERS)
        authority = ssh(lab, "peer-1", "cat /root/ours.pem")
        for host in HOSTS:
            ssh(lab, host, f"cat > /root/ca.pem <<'END'\n{authority}\nEND")
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def target(lab: hosts.Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The lab as playbooks see it."""
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text("of nothing\n")
    connections = Connections()
    yield Target(lab.inventory, key, connections.folder)
    connections.close()


@pytest.fixture(scope="module")
def met(lab: hosts.Lab, target: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Failure]]:
    """Fault -> what the program makes of it: as many at a time as there are hosts, each on one of its own."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "variables.json").write_text("{}")
    found: dict[str, list[Failure]] = {}
    for number in range(0, len(FAULTS), len(HOSTS)):
        faults = dict(zip(HOSTS, FAULTS[number:number + len(HOSTS)], strict=False))
        failures = _met(lab, target, faults, folder / f"round-{number}")
        found |= {fault.name: [f for f in failures if f.host == host] for host, fault in faults.items()}
    return found


def _met(lab: hosts.Lab, target: Target, faults: dict[str, Fault], folder: Path) -> list[Failure]:
    """Make one fault on each host, run its task there, and take it back."""
    folder.mkdir()
    tasks = [{"name": TASK, "when": f"inventory_hostname == '{host}'", **fault.task} for host, fault in faults.items()]
    play = {"name": "Faults are met", "hosts": ",".join(faults), "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    variables = folder.parent / "variables.json"
    try:
        for host, fault in faults.items():
            ssh(lab, host, fault.made)
        outcome = playbook.run(target, [Play(folder / "play.yml")], variables, folder / "run", folder / "log",
                               Listener())
        print((folder / "log").read_text())
        return explained(outcome.failures, target, variables, folder / "aftermath", folder / "log", list(HOSTS))
    finally:
        for host, fault in faults.items():
            ssh(lab, host, f"{fault.undone}; systemctl reset-failed", check=False)


def screen(failure: Failure) -> list[str]:
    """What the admin reads of it, line by line."""
    console = Console(file=io.StringIO(), width=80)
    verdict = Verdict(failures={"a-phase": [failure]}, logs={"a-phase": Path("/logs/a-phase.log")})
    verbs.say(verdict, cli.parser().parse_args(["apply", "--inventory", "site.ini"]), console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_explained(met: dict[str, list[Failure]], fault: Fault) -> None:
    assert [failure.task for failure in met[fault.name]] == [TASK], "the fault did no harm"
    failure = met[fault.name][0]
    assert failure.explanation, failure.message
    assert re.fullmatch(fault.meaning, failure.explanation.meaning), failure
    assert fault.remedy in failure.explanation.remedy
    read = screen(failure)
    assert read[:4] == ["", f"failed: a-phase on {failure.host}: {TASK}", f"  cause: {failure.explanation.meaning}",
                        f"  mend:  {failure.explanation.remedy}"]
    assert read[-2:] == ["  log:  /logs/a-phase.log",
                         "  next: mend the cause and run again: casa-install --inventory site.ini"]
    assert not any("Traceback" in line or "FAILED!" in line for line in read)


@pytest.fixture(scope="module", autouse=True)
def lost(lab: hosts.Lab, target: Target,
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[tuple[list[Failure], list[Failure]]]]:
    """What is told of a host that is shut down in the middle; ssh tries for a minute, so the rest goes on meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_lost, lab, target, tmp_path_factory.mktemp("lost"))


def _lost(lab: hosts.Lab, target: Target, folder: Path) -> tuple[list[Failure], list[Failure]]:
    """What is told by a playbook that worked on the host, and then by one that worked on another only."""
    stop = [sys.executable, "-m", "casa_install.rehearsal", "stop", "--name", lab.name, LOST]
    tasks = [{"name": "The host is shut down", "ansible.builtin.command": {"argv": stop}, "delegate_to": "localhost",
              "vars": {"ansible_python_interpreter": sys.executable}},
             {"name": TASK, "ansible.builtin.command": {"cmd": "true"}}]
    play = {"name": "A host is lost", "hosts": LOST, "gather_facts": False, "tasks": tasks}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    variables = folder / "variables.json"
    variables.write_text("{}")
    other = {"name": "What needs it", "hosts": next(iter(HOSTS)), "gather_facts": False,
             "tasks": [{"name": TASK, "ansible.builtin.command": {"cmd": "false"}}]}
    (folder / "other.yml").write_text(yaml.safe_dump([other]))
    told = []
    for number, book in enumerate(("play.yml", "other.yml")):
        outcome = playbook.run(target, [Play(folder / book)], variables, folder / f"run-{number}", folder / "log",
                               Listener())
        told.append(explained(outcome.failures, target, variables, folder / f"after-{number}", folder / "log",
                              [*HOSTS, LOST]))
    return told[0], told[1]


def test_a_host_that_is_lost_in_the_middle_is_told_as_such(lost: Future[tuple[list[Failure], list[Failure]]]) -> None:
    for failures, expected in zip(lost.result(), ([(LOST, TASK, True)],
                                                  [(next(iter(HOSTS)), TASK, False), (LOST, "The host answers", True)]),
                                  strict=True):
        assert [(failure.host, failure.task, failure.unreachable) for failure in failures] == expected
        assert failures[-1].explanation
        assert failures[-1].explanation.meaning == "the host no longer answers by ssh"
