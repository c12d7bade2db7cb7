"""Judges what components need of the kernel, and what would end them from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casa_install.preflight.facts import Facts
from casa_install.preflight.findings import Finding, refusal, warning
from casa_install.site.model import Host, Site

OLDEST = (5, 10)
"""Of Cilium 1.20."""
OF_NODES = {"BPF_SYSCALL": "", "BPF_JIT": "", "CGROUP_BPF": "", "NET_CLS_ACT": "", "NET_CLS_BPF": "cls_bpf",
            "NET_SCH_INGRESS": "sch_ingress", "VETH": "veth", "OVERLAY_FS": "overlay"}
"""Option of the kernel -> its module, of what Cilium (with BPF masquerading and without tunnels) and containerd use."""
OF_EXECUTE_POINTS = {"apptainer": {"USER_NS": ""},
                     "docker": {"OVERLAY_FS": "overlay", "VETH": "veth", "BRIDGE": "bridge"}}
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""Of cgroups, without which kubelet ends itself."""


def asked(site: Site, host: Host) -> dict[str, str]:
    """Options that a host's kernel has to have, each with its module."""
    jobs = OF_EXECUTE_POINTS[site.settings.job_containers] if "condor_execute" in host.groups else {}
    return (OF_NODES if host in site.nodes else {}) | jobs


def kernel(site: Site, host: Host, facts: Facts) -> Iterator[Finding]:
    """Version, options, cgroups and namespaces; what is not known is not refused."""
    node = host in site.nodes
    version = tuple(map(int, re.findall(r"\d+", facts.release)[:2]))
    if node and version < OLDEST:
        yield refusal(host, "kernel", f"runs the kernel {facts.release}, and Cilium needs 5.10",
                      "install linux-image-amd64 and reboot")
    lacking = [option for option, there in facts.features.items() if there is False]
    if lacking:
        yield refusal(host, "kernel", f"its kernel {facts.release} has neither these options nor their modules: "
                      f"{', '.join(lacking)}", "install Debian's kernel (linux-image-amd64) and reboot: a kernel that "
                      "was upgraded finds the modules of its successor only")
    # virtual hosts may have cgroup v1, and their kubelet is told to bear it
    if node and facts.cgroup != 2 and not site.settings.rehearsal:
        yield refusal(host, "kernel", "has cgroup v1, which Kubernetes no longer supports",
                      "boot it with systemd.unified_cgroup_hierarchy=1 on the kernel's command line")
    if node and (off := [name for name in CONTROLLERS if name not in facts.controllers]):
        yield refusal(host, "kernel", f"its cgroups do not control {', '.join(off)}",
                      "take cgroup_disable from the kernel's command line and reboot")
    if facts.no_namespaces and "condor_execute" in host.groups and site.settings.job_containers == "apptainer":
        yield refusal(host, "kernel", f"{facts.no_namespaces} keeps users from making namespaces, which apptainer "
                      "needs", "change it in /etc/sysctl.d, or write casa_job_containers=docker")
    if facts.enforcing:
        yield warning(host, "kernel", "SELinux enforces, and what is installed has no labels of its own",
                      "write SELINUX=permissive in /etc/selinux/config and reboot")
    if facts.reboots:
        yield warning(host, "kernel", "reboots by itself after upgrades, which ends what users run there",
                      'write Unattended-Upgrade::Automatic-Reboot "false"; in /etc/apt/apt.conf.d')
