"""Two real labs side by side: they boot, are left alone, crash, are cleared away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from casa_install.rehearsal import cgroups, hosts, names, network, records, sysctls
from casa_install.rehearsal.commands import RehearsalError, run
from tests import machine

NETWORKS = {"labtest": IPv4Network("10.91.250.0/24"), "labtest-2": IPv4Network("10.91.251.0/24")}


def make(name: str = "labtest", count: int = 2, memory: dict[str, int] | None = None) -> hosts.Lab:
    """A lab that is not up yet."""
    net = NETWORKS[name]
    return hosts.Lab(name, net, {f"host-{n}": net[10 + n] for n in range(1, count + 1)}, "lab.test", memory=memory)


def ssh(lab: hosts.Lab, host: str, command: str, check: bool = True) -> str:
    """What a command prints on a host; ssh refuses a host whose key is not the one that we made."""
    target = f"root@{lab.hosts[host]}"
    done = subprocess.run(
        ["ssh", *lab.ssh_arguments, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", target, command],
        capture_output=True, text=True, check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def traces(lab: str) -> list[str]:
    """Everything on the machine that bears the lab's name."""
    tag, gateway = names.tag(lab), str(names.gateway_address(NETWORKS[lab]))
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"/labs/{lab}/" in line]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if tag in command or f"/labs/{lab}/" in command:
            found.append(f"{entry}: {command}")
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"**/*{tag}*")]
    found += [line for line in run("ip", "-o", "link").splitlines() if tag in line]
    routes = run("ip", "route", "show", "table", "all").splitlines()
    found += [line for line in routes if tag in line or gateway in line]
    rules = [line.split() for line in run("iptables-save").splitlines()]
    found += [" ".join(words) for words in rules if f'{lab}"' in words or names.bridge(lab) in words]
    found += [str(path) for path in Path("/run/systemd/nspawn").glob(f"*/*{tag}*")]
    if records.lab_folder(lab).exists():
        found.append(str(records.lab_folder(lab)))
    return found


@pytest.fixture(scope="module")
def pair() -> Iterator[hosts.Lab]:
    """Two hosts that stay as they are."""
    _clear()
    lab = make(memory={"host-2": 700})
    lab.up()
    yield lab
    lab.down()


@pytest.fixture
def clear() -> Iterator[None]:
    """No lab of these tests before and after."""
    _clear()
    yield
    _clear()


def _clear() -> None:
    for name in NETWORKS:
        hosts.down(name)


def test_hosts_are_whole_debian_systems(pair: hosts.Lab) -> None:
    assert pair.status() == {"host-1": "up", "host-2": "up"}
    for host in pair.hosts:
        assert ssh(pair, host, "hostname -f") == f"{host}.lab.test"
        assert ssh(pair, host, "systemctl is-system-running --wait") == "running"
    assert "10.91.250.11" in ssh(pair, "host-1", "ip -brief address show host0")
    assert ssh(pair, "host-1", "ping -c 1 -W 2 10.91.250.12 > /dev/null && echo heard") == "heard"
    hosts_file = ssh(pair, "host-1", "cat /etc/hosts")
    assert "host-1.lab.test" in hosts_file
    assert "host-2" not in hosts_file
    # each host has an ssh key of its own, and the lab's key is readable by its owner only
    assert ssh(pair, "host-1", "cat /etc/ssh/*.pub") != ssh(pair, "host-2", "cat /etc/ssh/*.pub")
    assert pair.private_key.stat().st_mode & 0o777 == 0o600
    limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max"
    assert ssh(pair, "host-2", limit) in (str(700 * 2**20), "max")


def test_packages_come_from_the_machines_mirror(pair: hosts.Lab) -> None:
    ssh(pair, "host-1", "apt-get -q update && apt-get -qy install tree")
    assert "tree v" in ssh(pair, "host-1", "tree --version")
    # newer packages are there for who asks for them, and nobody gets one unasked
    assert "sid/main" in ssh(pair, "host-1", "apt-cache policy apptainer")
    bash = ssh(pair, "host-1", "apt-cache policy bash")
    installed, candidate = (line.split()[1] for line in bash.splitlines()[1:3])
    assert installed == candidate
    assert "unstable" in ssh(pair, "host-1", "apt-get -qs install apptainer | grep '^Inst apptainer'")
    assert "unstable" not in ssh(pair, "host-1", "apt-get -qs full-upgrade")


def test_a_host_can_do_what_containers_need(pair: hosts.Lab) -> None:
    overlay = "mkdir l u w m && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w m && umount m"
    ssh(pair, "host-1", f"cd /var/lib/containerd && {overlay}")
    ssh(pair, "host-1", "mountpoint /sys/fs/bpf && test -c /dev/fuse && test -c /dev/kmsg && test -c /dev/net/tun")
    ssh(pair, "host-1", "mkdir /sys/fs/cgroup/pids/kubepods 2> /dev/null || mkdir /sys/fs/cgroup/kubepods")
    assert ssh(pair, "host-1", "findmnt -n -o PROPAGATION /") == "shared"
    assert ssh(pair, "host-1", "sysctl -n net.ipv4.conf.all.rp_filter net.ipv4.conf.host0.rp_filter") == "0\n0"


def test_up_again_leaves_running_hosts_alone(pair: hosts.Lab) -> None:
    ssh(pair, "host-1", "touch /run/not-rebooted")
    pair.up()
    ssh(pair, "host-1", "test -e /run/not-rebooted")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_host_comes_back_with_its_disk(pair: hosts.Lab, how: str) -> None:
    ssh(pair, "host-1", "touch /run/before /root/before /var/lib/etcd/before; sync")
    getattr(hosts, how)("labtest", "host-1")
    assert pair.status() == {"host-1": "down", "host-2": "up"}
    hosts.start("labtest", "host-1")
    ssh(pair, "host-1", "test -e /root/before && test -e /var/lib/etcd/before && test ! -e /run/before")


def test_a_network_that_is_taken_is_refused(pair: hosts.Lab) -> None:
    with pytest.raises(RehearsalError, match=f"overlaps {pair.network} of lab labtest"):
        hosts.Lab("labtest-2", pair.network, {"other": IPv4Address("10.91.250.99")}).up()
    hosts.down("labtest-2")


def test_labs_do_not_touch_each_other(pair: hosts.Lab) -> None:
    other = make("labtest-2", 1)
    other.up()
    there = f"timeout 3 bash -c '< /dev/tcp/{other.hosts['host-1']}/22' && echo open || echo shut"
    assert ssh(pair, "host-1", there) == "shut"
    kept = [line for line in traces("labtest") if line.startswith(("/sys", "-A"))]
    other.down()
    assert traces("labtest-2") == []
    assert [line for line in traces("labtest") if line.startswith(("/sys", "-A"))] == kept
    assert ssh(pair, "host-1", "echo still here") == "still here"
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"


@pytest.mark.usefixtures("clear")
def test_a_host_that_is_no_longer_wanted_goes() -> None:
    make(count=2).up()
    lab = make(count=1)
    lab.up()
    assert list(hosts.opened("labtest").hosts) == ["host-1"]
    assert not [line for line in traces("labtest") if "host-2" in line]
    assert not (lab.folder / "hosts" / "host-2").exists()
    assert "host-2" not in lab.inventory.read_text()


MOMENTS: dict[str, Callable[[hosts.Lab], bool]] = {
    "asked": lambda lab: (lab.folder / "lab.json").exists(),
    "connected": lambda lab: names.bridge(lab.name) in run("ip", "link"),
    "mounted": lambda lab: f"/labs/{lab.name}/" in Path("/proc/self/mountinfo").read_text(),
    "made": lambda lab: (lab.folder / "hosts" / "host-1" / "made").exists(),
    "booting": lambda lab: bool(cgroups.processes(names.cgroup(lab.name, "host-1"))),
}
"""How far `up` is when it is killed."""


@pytest.mark.usefixtures("clear")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("then", ["up", "down"])
def test_a_killed_up_is_no_obstacle(moment: str, then: str) -> None:
    lab = make()
    command = [sys.executable, "-m", "casa_install.rehearsal", "up", "--name", lab.name, "--network", str(lab.network)]
    command += [*(f"--host={name}={address}" for name, address in lab.hosts.items()), "--domain=lab.test"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 60
        while not MOMENTS[moment](lab):
            assert running.poll() is None and time.monotonic() < deadline, f"up never came to {moment}"
            time.sleep(0.005)
        running.kill()
    if then == "up":
        lab.up()
        assert [ssh(lab, host, "hostname") for host in lab.hosts] == ["host-1", "host-2"]
    else:
        hosts.down(lab.name)
        assert traces(lab.name) == []


@pytest.mark.usefixtures("clear")
def test_down_leaves_the_machine_as_it_was() -> None:
    # other labs come and go as they please
    before = None if network.any_lab() else machine.take()
    lab = make()
    lab.up()
    lab.down()
    assert traces(lab.name) == []
    if before is not None:
        assert before.left_by(machine.take()) == {}
        assert not sysctls.KEPT.exists()
