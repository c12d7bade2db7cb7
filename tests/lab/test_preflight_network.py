"""The verb check on real hosts whose names, links and packet filters are wrong, then mended.

The name server is a real one, the firewalls are those of Debian; firewalld alone is a unit of that name.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from casa_install import preflight
from casa_install.engine import playbook
from casa_install.engine.playbook import Listener
from casa_install.facility import Facility
from casa_install.rehearsal import hosts
from tests.lab.test_lab import ssh
from tests.lab.test_preflight import Told, check, findings, found, write_inventory
from tests.lab.test_refusals import CGROUP

NETWORK = IPv4Network("10.97.15.0/24")
HOSTS = {"node-1": NETWORK[11], "pool-1": NETWORK[12], "dns-1": NETWORK[13]}
INSTALLED = {"pool-1": "ufw", "dns-1": "dnsmasq-base"}

OBSTACLES = {
    # what a docker that is gone has left of the packet filter is in no pod's way
    "node-1": """\
sed -i /node-1/d /etc/hosts
iptables -A INPUT -p tcp --dport 8082 -j REJECT
iptables -P FORWARD DROP
""",
    "pool-1": f"""\
sed -i 's/^IPV6=.*/IPV6=no/' /etc/default/ufw
ufw allow from {NETWORK}
ufw --force enable
systemctl restart ufw
""",
    "dns-1": f"""\
systemd-run --quiet --collect --unit=names dnsmasq --keep-in-foreground --no-hosts --no-resolv --local=/lan/ \\
    --address=/hub.casa.lan/{NETWORK[200]} --address=/casa-install-check.dask.casa.lan/{NETWORK[98]} \\
    --address=/api.casa.lan/{NETWORK[11]} --address=/xcache.casa.lan/{NETWORK[12]} \\
    --address=/registry.casa.lan/{NETWORK[98]} --address=/node-1.casa.lan/{NETWORK[99]} \\
    --ptr-record={NETWORK[11].reverse_pointer},old.casa.lan
systemd-run --quiet --collect --unit=firewalld sleep infinity
iptables-legacy -A INPUT -p tcp --dport 8081 -j DROP
ip link set host0 mtu 1400
for n in 1 2 3 4 5 6 7 8 9; do sleep 0.2; ss -uln | grep -q :53 && break; done
""",
}
MENDED = {
    "node-1": f"iptables -F INPUT; echo '{NETWORK[11]} node-1.casa.lan node-1' >> /etc/hosts",
    "pool-1": "ufw --force disable",
    "dns-1": "systemctl stop names firewalld; iptables-legacy -F INPUT; ip link set host0 mtu 1500",
}
"""FORWARD stays as it is on node-1."""

OTHERS = tuple(Told(host, "kernel", True, "has cgroup v1, .*") for host in ("node-1", "pool-1") for _ in CGROUP)
"""What the machine below the hosts lacks."""
TOLD = (
    Told("", "delegation", False,
         r"this machine's name service has no address of casa-install-check\.dask-worker\.casa\.lan"),
    Told("", "delegation", False, r"this machine's name service gives casa-install-check\.dask\.casa\.lan the address "
                                  r"10\.97\.15\.98, and casa_public_address is 10\.97\.15\.200"),
    Told("node-1", "names", False, r"its name service gives node-1\.casa\.lan the address 10\.97\.15\.99, which should "
                                   r"be 10\.97\.15\.11"),
    Told("node-1", "names", False, r"its address belongs to old\.casa\.lan by the host's name service"),
    *(Told(host, "names", False, r"its name service gives registry\.casa\.lan the address 10\.97\.15\.98, which should "
                                 r"be 10\.97\.15\.13") for host in HOSTS),
    *(Told("dns-1", "ports", True, rf"{protocol} port 53, which the site's name server needs, is taken by dnsmasq "
                                   r"\(pid \d+\)") for protocol in ("tcp", "udp")),
    *(Told(host, "ways", False, r"packets of its MTU of 1500 do not reach dns-1 \(10\.97\.15\.13\)")
      for host in ("node-1", "pool-1")),
    *(Told(host, "firewall", False, rf"drops packets that come in \({what}\)") for host, what in (
        ("node-1", "nftables chain ip filter INPUT"), ("pool-1", "ufw"), ("pool-1", "nftables chain ip filter INPUT"),
        ("dns-1", "firewalld"), ("dns-1", "iptables chain INPUT"))),
    *OTHERS,
)

SLOW = r"""printf '#!/bin/sh\nsleep 2\nexec /usr/bin/ss "$@"\n' > /usr/local/sbin/ss; chmod 755 /usr/local/sbin/ss"""
"""Sockets are listed so slowly that hosts which are asked one after the other answer one after the other."""


@dataclass(frozen=True)
class Ran:
    """What check said of the obstacles and when they were mended, and how long each host was asked in the end."""

    ill: dict[str, Any]
    well: dict[str, Any]
    spans: list[tuple[dt.datetime, dt.datetime]]


def asked(inventory: Path) -> list[tuple[dt.datetime, dt.datetime]]:
    """When the question began and ended on each host, by the machine's clock, which hosts have in common."""
    folder = inventory.parent / "asked"
    folder.mkdir()
    with contextlib.closing(Facility.open(inventory)) as facility:
        facility.write_variables(set(), folder / "variables.vault")
        outcome = playbook.run(facility.target, [preflight.question(facility.site)], folder / "variables.vault",
                               folder / "work", folder / "log", Listener(), preflight.TASKS)
    results = [result for (_, task), result in outcome.results.items() if task == preflight.TASKS[1]]
    return [(dt.datetime.fromisoformat(each["start"]), dt.datetime.fromisoformat(each["end"])) for each in results]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The real command is run on the obstacles and without them; then the hosts are asked by its engine alone."""
    folder = tmp_path_factory.mktemp("site")
    hosts.down("checknet")
    lab = hosts.Lab("checknet", NETWORK, HOSTS, "casa.lan")
    try:
        lab.up()
        inventory = write_inventory(folder, lab)
        for host in HOSTS:
            ssh(lab, host, "systemctl is-system-running --wait")
        for host, package in INSTALLED.items():
            ssh(lab, host, "set -e\nexport DEBIAN_FRONTEND=noninteractive\n"
                           f"apt-get -q update\napt-get -qy install --no-install-recommends {package}")
        for host, made in OBSTACLES.items():
            ssh(lab, host, f"set -e\necho nameserver {HOSTS['dns-1']} > /etc/resolv.conf\n{made}")
        ill = json.loads(check(inventory, HOSTS["dns-1"]).stdout)
        for host, mended in MENDED.items():
            ssh(lab, host, f"set -e\n{mended}")
        well = json.loads(check(inventory, HOSTS["dns-1"]).stdout)
        for host in HOSTS:
            ssh(lab, host, SLOW)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
            yield Ran(ill, well, asked(inventory))
    finally:
        lab.down()


@pytest.mark.parametrize("told", TOLD, ids=lambda told: f"{told.host}-{told.check}")
def test_an_obstacle_is_found(ran: Ran, told: Told) -> None:
    assert found(told, ran.ill), findings(ran.ill)


def test_nothing_else_is_found(ran: Ran) -> None:
    assert len(findings(ran.ill)) == len(TOLD), findings(ran.ill)


def test_what_is_mended_is_told_no_more(ran: Ran) -> None:
    assert len(findings(ran.well)) == len(OTHERS), findings(ran.well)
    assert all(found(told, ran.well) for told in OTHERS)


def test_hosts_are_asked_at_the_same_time(ran: Ran) -> None:
    assert len(ran.spans) == len(HOSTS)
    assert max(begin for begin, _ in ran.spans) < min(end for _, end in ran.spans)
