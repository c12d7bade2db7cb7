"""A change of every kind on a real host is told when its state is compared, and nothing once the change is undone."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator

import pytest

from casa_install.engine.remains import BEFORE
from casa_install.rehearsal import hosts
from tests.lab.test_lab import make, ssh

HOST = "host-1"
RECORD = "/var/lib/casa-install/state/before.json.gz"

CHANGES = {
    # a command, what undoes it, and the lines that tell it
    "content": ("echo changed >> /etc/issue", "sed -i '$d' /etc/issue", [r"~ /etc/issue \(content\)"]),
    "mode": ("chmod 600 /etc/issue.net", "chmod 644 /etc/issue.net", [r"~ /etc/issue\.net \(mode 0600, was 0644\)"]),
    "owner": ("chown 1:2 /etc/fstab", "chown 0:0 /etc/fstab", [r"~ /etc/fstab \(owner 1:2, was 0:0\)"]),
    "link": ("ln -sfn /usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
             "ln -sfn /usr/share/zoneinfo/Etc/UTC /etc/localtime", [r"~ /etc/localtime \(points to .*, was .*UTC\)"]),
    "tree": ("mkdir -p /opt/tool/bin && touch /opt/tool/bin/x", "rm -r /opt/tool", [r"\+ /opt/tool with 2 below it"]),
    "gone": ("mv /etc/host.conf /tmp", "mv /tmp/host.conf /etc", [r"- /etc/host\.conf"]),
    "program": ("cp -a /usr/bin/jq /tmp && echo x >> /usr/bin/jq", "mv /tmp/jq /usr/bin",
                [r"~ /usr/bin/jq \(content\)"]),
    "package": ("apt-mark auto socat", "apt-mark manual socat", [r"~ package socat: \S+ ii automatic, was \S+ ii"]),
    "account": ("useradd --system --user-group tester", "userdel tester",
                [r"\+ account tester .*", r"\+ group tester .*", r"~ /etc/(passwd|shadow|group|gshadow) \(content\)"]),
    "unit": ("printf '[Service]\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' > "
             "/etc/systemd/system/thing.service && systemctl enable thing", "systemctl disable thing && "
             "rm /etc/systemd/system/thing.service && systemctl daemon-reload",
             [r"\+ unit thing\.service enabled", r"\+ /etc/systemd/system/(multi-user.target.wants/)?thing\.service"]),
    "mount": ("mount -t tmpfs none /mnt", "umount /mnt", [r"\+ mount /mnt tmpfs"]),
    "port": ("systemd-run --unit=squatter python3 -m http.server 8123 && for _ in $(seq 50); do "
             "ss -Hltn sport = 8123 | grep -q . && break; sleep 0.1; done", "systemctl stop squatter",
             [r"\+ port tcp 0\.0\.0\.0:8123 python3"]),
    "rule": ("nft 'add table inet t; add chain inet t c; add rule inet t c tcp dport 99 accept'",
             "nft delete table inet t", [r"\+ firewall rule table inet t chain c: tcp dport 99 accept 1"]),
    "setting": ("sysctl -w net.ipv4.conf.lo.log_martians=1", "sysctl -w net.ipv4.conf.lo.log_martians=0",
                [r"~ kernel setting net\.ipv4\.conf\.lo\.log_martians: 1, was 0"]),
    "interface": ("ip link add br9 type bridge", "ip link delete br9", [r"\+ interface br9 "]),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[hosts.Lab]:
    """One host, whose state is kept."""
    hosts.down("labtest")
    lab = make(count=1)
    lab.up()
    ssh(lab, HOST, "systemctl is-system-running --wait")
    asked(lab, "take")
    yield lab
    lab.down()


def asked(lab: hosts.Lab, verb: str, host: str = HOST, record: str = RECORD) -> str:
    """What the script says on a host; it comes by standard input, as the program sends it."""
    command = ["ssh", *lab.ssh_arguments, f"root@{lab.hosts[host]}", f"python3 - {verb} {record}"]
    script = (BEFORE.parent / "files" / "host-state").read_text()
    return subprocess.run(command, input=script, stdout=subprocess.PIPE, text=True, check=True).stdout


def compared(lab: hosts.Lab) -> list[str]:
    """The lines that tell how the host differs."""
    answer = json.loads(asked(lab, "compare"))
    assert answer["known"]
    return list(answer["differences"])


def test_a_host_that_nobody_changed_is_as_it_was(lab: hosts.Lab) -> None:
    assert ssh(lab, HOST, f"stat --format '%a %U' {RECORD}") == "600 root"
    assert compared(lab) == []


def test_every_kind_of_change_is_told_until_it_is_undone(lab: hosts.Lab) -> None:
    ssh(lab, HOST, " && ".join(f"({change})" for change, _, _ in CHANGES.values()))
    found = compared(lab)
    for name, (_, _, lines) in CHANGES.items():
        for line in lines:
            assert any(re.fullmatch(line, told) for told in found), (name, line, found)
    known = "|".join(line for _, _, lines in CHANGES.values() for line in lines)
    assert [line for line in found if not re.fullmatch(known, line)] == []
    ssh(lab, HOST, " && ".join(f"({undo})" for _, undo, _ in CHANGES.values()))
    assert compared(lab) == []
