"""Files inside virtual hosts: what a host needs because it is virtual, and what makes one host differ from another.

Roles know nothing of this: for them a virtual host is like iron.
"""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from casa_install.rehearsal import names

CGROUP_SCRIPT = """\
#!/bin/sh
# What a virtual host needs before its services start.

# nspawn hands the controllers of cgroup v1 over read-only
if [ "$(stat -f -c %T /sys/fs/cgroup)" = tmpfs ]; then
    mount -o remount,rw /sys/fs/cgroup
    for controller in /sys/fs/cgroup/*/; do
        mount -o remount,rw,bind "$controller"
    done
fi

# /sys is a tmpfs of this host, without the place for pinned BPF objects
if ! mountpoint -q /sys/fs/bpf; then
    mkdir -p /sys/fs/bpf
    mount -t bpf bpf /sys/fs/bpf
fi

# on iron systemd does this; Cilium and kubelet hand mounts on to pods
mount --make-rshared /
exit 0
"""

UNIT = """\
[Unit]
Description=What a virtual host needs of cgroups and mounts
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/sbin/casa-virtual-host

[Install]
WantedBy=sysinit.target
"""

# The kernel's settings are the machine's: only those of the host's own network are left of Debian's defaults.
# Reverse path filters would drop what comes from pods: udev sets them for each new interface from here.
NETWORK_SYSCTLS = """\
net.ipv4.conf.default.accept_source_route = 0
net.ipv4.conf.*.accept_source_route = 0
net.ipv4.conf.default.promote_secondaries = 1
net.ipv4.conf.*.promote_secondaries = 1
-net.ipv4.ping_group_range = 0 2147483647
"""
POD_SYSCTLS = """\
-net.ipv4.conf.lxc*.rp_filter = 0
-net.ipv4.conf.cilium_*.rp_filter = 0
net.ipv4.conf.default.rp_filter = 0
net.ipv4.conf.all.rp_filter = 0
"""

BASE_FILES: dict[str, tuple[str, int]] = {
    "usr/local/sbin/casa-virtual-host": (CGROUP_SCRIPT, 0o755),
    "etc/systemd/system/casa-virtual-host.service": (UNIT, 0o644),
    # processes of pods belong to no unit: a clean stop must not wait 90 s for them
    "etc/systemd/system.conf.d/casa-virtual-host.conf": ("[Manager]\nDefaultTimeoutStopSec=10s\n", 0o644),
    "etc/systemd/journald.conf.d/casa-virtual-host.conf": ("[Journal]\nSystemMaxUse=64M\nReadKMsg=no\n", 0o644),
    "etc/sysctl.d/50-default.conf": (NETWORK_SYSCTLS, 0o644),
    "etc/sysctl.d/99-zzz-override_cilium.conf": (POD_SYSCTLS, 0o644),
    # a host that may be thrown away need not sync each unpacked file
    "etc/dpkg/dpkg.cfg.d/casa-virtual-host": ("force-unsafe-io\n", 0o644),
    "etc/ssh/sshd_config.d/casa-virtual-host.conf": (
        "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\n",
        0o644,
    ),
    "etc/network/interfaces": ("", 0o644),
}

MASKED_SYSCTLS = ("50-pid-max.conf", "10-coredump-debian.conf")
"""Files of Debian that would set the machine's own kernel."""

MASKED_UNITS = (
    "apt-daily.timer",  # would hold dpkg's lock while roles want it
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "networking.service",  # systemd-networkd has the interface
    "sshd-keygen.service",  # the lab made the key, so that it is known from the first connection
    "systemd-modules-load.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",  # the clock is the machine's
)

ENABLED_UNITS = ("casa-virtual-host.service", "ssh.service", "systemd-networkd.service")


def put(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    """Write a file below a host's root, replacing whatever is there, a symbolic link too."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)


def mask(root: Path, name: str) -> None:
    """A configuration file of the same name is without effect."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/null")


def host_files(
    lab: str,
    host: str,
    domain: str,
    address: IPv4Address,
    network: IPv4Network,
    resolvers: tuple[IPv4Address, ...],
    extra_hosts: list[str],
    public_key: str,
) -> dict[str, tuple[str, int]]:
    """Files that make a host this one: name, address, resolver, and who may log in.

    ``extra_hosts`` are lines of the machine's hosts file without which the package mirror has no address.
    """
    interface = (
        "[Match]\nName=host0\n\n"
        f"[Network]\nAddress={address}/{network.prefixlen}\nGateway={names.gateway_address(network)}\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\n"
    )
    known = [
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        f"{address} {host}.{domain} {host}",
        *extra_hosts,
    ]
    identity = hashlib.md5(f"{lab}/{host}/{address}".encode(), usedforsecurity=False).hexdigest()
    return {
        "etc/hostname": (f"{host}\n", 0o644),
        "etc/machine-id": (f"{identity}\n", 0o444),
        "etc/hosts": ("".join(f"{line}\n" for line in known), 0o644),
        "etc/systemd/network/10-host0.network": (interface, 0o644),
        "etc/resolv.conf": ("".join(f"nameserver {resolver}\n" for resolver in resolvers), 0o644),
        "root/.ssh/authorized_keys": (public_key, 0o600),
    }
