"""Kernel settings of the machine that virtual hosts need or change: kept before the first lab, put back after the last.

A virtual host sees the machine's own /proc/sys, so what a kubelet or Cilium writes
there acts on the machine. kernel.unprivileged_bpf_disabled, which Cilium sets to 1,
cannot be put back before a reboot: the kernel refuses.
"""

from __future__ import annotations

import json
from pathlib import Path

from casa_install.rehearsal import records

KEPT = Path("/run/casa-install-sysctls.json")
"""One place for all labs of the machine; gone after a boot, as the settings are."""


NEEDED: dict[str, str] = {
    "net/ipv4/ip_forward": "1",  # hosts reach the package mirrors through the machine
    # what hosts say to each other is none of the business of the machine's packet filter
    "net/bridge/bridge-nf-call-iptables": "0",
    "net/bridge/bridge-nf-call-ip6tables": "0",
    "fs/inotify/max_user_instances": "8192",  # root's share is one for all hosts together
    "fs/inotify/max_user_watches": "1048576",
}
"""What labs need, set when the first one comes up."""

CHANGED_BY_HOSTS: tuple[str, ...] = (
    "kernel/core_pattern",
    "kernel/core_uses_pid",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/pid_max",
    "kernel/sysrq",
    "kernel/timer_migration",
    "vm/dirty_background_ratio",  # before the bytes: writing one of a pair clears the other
    "vm/dirty_ratio",
    "vm/dirty_background_bytes",
    "vm/dirty_bytes",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "vm/swappiness",
)
"""What kubelet, Cilium, HTCondor and packages are known to write."""

ROOT = Path("/proc/sys")


def prepare(root: Path = ROOT, kept: Path = KEPT) -> None:
    """The machine's settings are kept, and those that labs need are set. Call with the machine's lock held."""
    if not kept.exists():
        present = [name for name in (*NEEDED, *CHANGED_BY_HOSTS) if (root / name).exists()]
        before = {name: (root / name).read_text().strip() for name in present}
        records.write(kept, json.dumps(before, indent=2) + "\n")
    for name, value in NEEDED.items():
        path = root / name
        if path.exists() and _differs_from_need(path.read_text().strip(), value):
            path.write_text(value)


def _differs_from_need(now: str, need: str) -> bool:
    return int(now) < int(need) if int(need) > 1 else now != need


def restore(root: Path = ROOT, kept: Path = KEPT) -> list[str]:
    """Put every setting back; returns those that the kernel refused.

    Call it with the machine's lock held, after the last lab.
    """
    if not kept.exists():
        return []
    refused = []
    for name, value in json.loads(kept.read_text()).items():
        path = root / name
        try:
            if path.exists() and path.read_text().strip() != value:
                path.write_text(value)
        except OSError as error:
            refused.append(f"{name.replace('/', '.')} to {value}: {error.strerror}")
    kept.unlink()
    return refused
