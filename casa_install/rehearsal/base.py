"""The base file system below all virtual hosts: Debian, made once and kept by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path

from casa_install.rehearsal import aptconf, guest, records
from casa_install.rehearsal.commands import bound_to_us, run

SUITE = "trixie"
NEWER_SUITE = "sid"
"""Single packages come from here when a role asks for them; pinned so low that nothing else does."""

PACKAGES = (
    "acl,ca-certificates,conntrack,curl,dbus,debian-archive-keyring,ethtool,iproute2,iptables,iputils-ping,jq,kmod,less,"
    "libnss-systemd,libpam-systemd,mount,nftables,openssh-server,openssl,procps,python3,python3-apt,python3-debian,"
    "socat,sudo,systemd,systemd-sysv,tzdata,udev,util-linux,xz-utils,zstd"
)
"""What an admin finds on a freshly installed Debian host, and nothing that a role has to install."""

MACHINE_CAS = Path("/usr/local/share/ca-certificates")

# Packages are judged by their signatures. A rehearsal may run against a frozen mirror, or with a clock that is
# ahead of it, and then the date in the index would refuse what is perfectly good.
APT_CONF = 'Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\n'
FRESH = 12 * 3600
"""Seconds for which a base is good for new hosts: roles read package lists anew that are a day old, and packages that
need newer ones than the base has would upgrade these."""
_HOUR = 3600
PIN = f"Package: *\nPin: release n={NEWER_SUITE}\nPin-Priority: 100\n"


class Base:
    """One base file system; its key changes with everything that it is made from, and when it has become too old."""

    def __init__(self, mirror: aptconf.Mirror, resolvers: tuple[IPv4Address, ...]) -> None:
        self.mirror = mirror
        self.resolvers = resolvers
        self.apt_settings = aptconf.machine_settings()
        self.cas = sorted(MACHINE_CAS.rglob("*.crt"))
        self.hosts_lines = aptconf.mirror_host_lines(mirror, Path("/etc/hosts").read_text())

    @cached_property
    def key(self) -> str:
        """Sixteen hex digits that stand for the recipe, and the hour in which it is or was made (s since the epoch)."""
        recipe, now = self._recipe(), int(time.time())
        newest = max((int(root.name.rpartition("-")[2]) for root in records.bases().glob(f"{recipe}-*")), default=0)
        return f"{recipe}-{newest if now - newest < FRESH else now - now % _HOUR}"

    def _recipe(self) -> str:
        described = {
            "packages": PACKAGES,
            "sources": self.mirror.sources(SUITE),
            "apt": [APT_CONF, PIN, NEWER_SUITE, self.apt_settings],
            "apt files": [path.read_bytes().hex() for path in self._apt_files()],
            "cas": [path.read_text() for path in self.cas],
            "files": guest.BASE_FILES,
            "units": [guest.MASKED_UNITS, guest.ENABLED_UNITS, guest.MASKED_SYSCTLS],
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]

    def _apt_files(self) -> list[Path]:
        passwords = Path("/etc/apt/auth.conf")
        more = sorted(Path("/etc/apt/auth.conf.d").glob("*.conf"))
        return [path for path in (*aptconf.referenced_files(self.apt_settings), passwords, *more) if path.is_file()]

    def ensure(self) -> None:
        """The base is made, unless it is there already."""
        with records.base_lock():
            root = root_of(self.key)
            if not root.is_dir():
                partial = records.bases() / "partial"
                _delete(partial)
                partial.mkdir(mode=0o755, parents=True)
                self._make(partial)
                partial.rename(root)

    def _make(self, root: Path) -> None:
        settings = [f"--aptopt={line}" for line in (APT_CONF + self.apt_settings).splitlines()]
        command = ["mmdebstrap", "--quiet", "--variant=important", *settings, f"--include={PACKAGES}", SUITE, str(root)]
        run(*bound_to_us([*command, *self.mirror.sources(SUITE)]))
        for path in root.glob("etc/ssh/ssh_host_*"):
            path.unlink()
        for name, (text, mode) in guest.BASE_FILES.items():
            guest.put(root, name, text, mode)
        for name in guest.MASKED_SYSCTLS:
            guest.mask(root, f"etc/sysctl.d/{name}")
        run("systemctl", "--quiet", f"--root={root}", "mask", *guest.MASKED_UNITS)
        run("systemctl", "--quiet", f"--root={root}", "enable", *guest.ENABLED_UNITS)
        self._give_packages(root)
        for path in self.cas:
            guest.put(root, f"usr/local/share/ca-certificates/{path.name}", path.read_text())
        run(*bound_to_us(["chroot", str(root), "update-ca-certificates"]))

    def _give_packages(self, root: Path) -> None:
        """Packages can be installed, from the newer suite too, with their lists already read."""
        guest.put(root, "etc/apt/sources.list", "".join(f"{line}\n" for line in self.mirror.sources(SUITE)))
        for path in root.glob("etc/apt/sources.list.d/*"):
            path.unlink()
        guest.put(
            root, f"etc/apt/sources.list.d/{NEWER_SUITE}.list", f"deb {self.mirror.archive} {NEWER_SUITE} main\n"
        )
        guest.put(root, f"etc/apt/preferences.d/{NEWER_SUITE}", PIN)
        for path in root.glob("etc/apt/apt.conf.d/99mmdebstrap"):
            path.unlink()
        guest.put(root, "etc/apt/apt.conf.d/90casa-virtual-host", APT_CONF + self.apt_settings)
        for path in self._apt_files():
            guest.put(root, str(path.relative_to("/")), path.read_text(), 0o600)
            if not path.is_relative_to("/etc/apt/auth.conf.d"):
                (root / path.relative_to("/")).chmod(path.stat().st_mode & 0o777)
        resolver_lines = "".join(f"nameserver {resolver}\n" for resolver in self.resolvers)
        guest.put(root, "etc/resolv.conf", resolver_lines)
        guest.put(root, "etc/hosts", "".join(f"{line}\n" for line in ["127.0.0.1 localhost", *self.hosts_lines]))
        run(*bound_to_us(["chroot", str(root), "apt-get", "-q", "update"]))


def root_of(key: str) -> Path:
    """The folder of the base with this key."""
    return records.bases() / key


def prune() -> None:
    """Bases that no lab stands on are gone, except the newest. Call it after the labs' records are written."""
    with records.base_lock():
        used = {host.base for lab in records.labs() for host in lab.hosts.values()}
        present = [path for path in records.bases().iterdir() if path.is_dir()]
        whole = [path for path in present if not path.name.startswith("partial")]
        newest = max(whole, key=lambda path: path.stat().st_ctime, default=None)
        for path in present:
            if path.name not in used and path != newest:
                _delete(path)


def _delete(folder: Path) -> None:
    if not folder.exists():
        return
    # a name that nobody takes for a whole base, should the deletion be cut short
    doomed = folder.with_name("partial") if folder.name == "partial" else folder.with_name(f"partial-{os.getpid()}")
    if doomed != folder:
        folder.rename(doomed)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(doomed)
