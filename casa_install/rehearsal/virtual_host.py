"""One virtual host: its files, and the life and death of its processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from casa_install.machine import RUN_MARK
from casa_install.rehearsal import aptconf, base, cgroups, guest, names, network, records
from casa_install.rehearsal.commands import RehearsalError, run

REAL_DIRECTORIES = (
    "var/lib/containerd",
    "var/lib/docker",
    "var/lib/etcd",
    "var/lib/kubelet",
    "var/lib/localpv",
)
"""Folders that must not lie on an overlay: they come from the machine, as iron may have partitions for them."""

NSPAWN = Path("/run/systemd/nspawn")

DEVICES = ("/dev/fuse", "/dev/kmsg", "/dev/net/tun")


def mounts_below(folder: Path) -> list[Path]:
    """Mount points in a folder, in the order in which they were mounted."""
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [place for place in map(Path, places) if place.is_relative_to(folder)]


def unmount_below(folder: Path, seconds: float = 5) -> None:
    """Nothing is mounted in a folder; what stays busy for ``seconds`` is detached."""
    deadline = time.monotonic() + seconds
    while left := mounts_below(folder):
        late = time.monotonic() > deadline
        for place in reversed(left):
            run("umount", *(["--lazy"] if late else []), place, check=late)
        if mounts_below(folder):
            time.sleep(0.1)


class VirtualHost:
    """A host of a lab; everything about it follows from the lab's record and its own name."""

    def __init__(self, lab: records.LabRecord, name: str) -> None:
        self.lab = lab
        self.name = name
        self.record = lab.hosts[name]
        self.address: IPv4Address = self.record.address
        self.network: IPv4Network = lab.network
        self.folder = records.lab_folder(lab.name) / "hosts" / name
        self.root = self.folder / "root"
        self.machine = names.machine(lab.name, lab.network, self.record.address)
        self.cgroup = names.cgroup(lab.name, name)

    @property
    def running(self) -> bool:
        """Whether the host has a supervisor, so is up or on its way up or down."""
        return self._supervisor() is not None

    def _supervisor(self) -> int | None:
        wanted = f"--machine={self.machine}".encode()
        for process in cgroups.processes(self.cgroup):
            with contextlib.suppress(OSError):
                # a zombie has no command line
                words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
                if wanted in words and words[0].endswith(b"systemd-nspawn"):
                    return process
        return None

    def ensure_files(self, public_key: str) -> None:
        """The host has its own files over the base, made once and then its own business."""
        made = self.folder / "made"
        if not made.exists():
            self.destroy()
            for part in ("root", "upper", "work", *(f"real/{name}" for name in REAL_DIRECTORIES)):
                (self.folder / part).mkdir(parents=True)
            (self.folder / "upper").chmod(0o755)
            self._mount()
            self._write_files(public_key)
            made.touch()
        self._mount()

    def _mount(self) -> None:
        if not os.path.ismount(self.root):
            lower, upper, work = base.root_of(self.record.base), self.folder / "upper", self.folder / "work"
            options = f"lowerdir={lower},upperdir={upper},workdir={work}"
            run("mount", "-t", "overlay", self.cgroup, "-o", options, self.root)

    def _write_files(self, public_key: str) -> None:
        hosts = [line.strip() for line in (base.root_of(self.record.base) / "etc/hosts").read_text().splitlines()]
        files = guest.host_files(
            self.lab.name,
            self.name,
            self.lab.domain,
            self.address,
            self.network,
            self.lab.resolvers,
            [line for line in hosts if line and not aptconf.is_loopback(line.split()[0])],
            public_key,
        )
        (self.root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
        for name, (text, mode) in files.items():
            guest.put(self.root, name, text, mode)
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key)

    @property
    def public_host_key(self) -> str:
        """Type and key by which the host's sshd is known."""
        words = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()
        return " ".join(words[:2])

    def start(self) -> None:
        """The host boots, unless it runs. What a crash left of it is cleared away first."""
        if self.running:
            cgroups.limit_memory(self.cgroup, self.record.memory)
            return
        cgroups.kill(self.cgroup)
        cgroups.remove(self.cgroup)
        # a network namespace can outlive a killed host, and its cable would be in the way
        network.delete_link(names.veth(self.machine))
        self._mount()
        binds = [f"--bind={self.folder / 'real' / name}:/{name}" for name in REAL_DIRECTORIES]
        devices = [f"--bind={device}" for device in DEVICES if Path(device).exists()]
        command = [
            *cgroups.launcher(self.cgroup, self.record.memory),
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.machine}"),
            *(f"--network-bridge={names.bridge(self.lab.name)}", "--capability=all", "--resolv-conf=off"),
            *("--settings=no", "--register=no", "--keep-unit", "--link-journal=no", "--timezone=off"),
            *binds,
            *devices,
        ]
        # the payload filters its own system calls (containers, BPF), and needs /proc/sys of its network
        settings = {"SYSTEMD_SECCOMP": "0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "yes"}
        # a host outlives the run that booted it
        inherited = {name: value for name, value in os.environ.items() if name != RUN_MARK}
        with (self.folder / "console.log").open("w") as console:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**inherited, **settings},
                start_new_session=True,
            )

    def wait(self, seconds: float = 90) -> None:
        """The host's sshd answers.

        :raises RehearsalError: it does not within ``seconds``, or the host is gone; with the end of its console.
        """
        deadline = time.monotonic() + seconds
        born = time.monotonic() + 5
        while not self._answers():
            gone = time.monotonic() > born and not self.running
            if gone or time.monotonic() > deadline:
                console = (self.folder / "console.log").read_text(errors="replace").strip().splitlines()[-15:]
                what = "ended while it booted" if gone else f"does not answer on ssh after {seconds:.0f} s"
                raise RehearsalError(f"host {self.name} ({self.address}) {what}; its console:\n" + "\n".join(console))
            time.sleep(0.2)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((str(self.address), 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def stop(self, seconds: float = 90) -> None:
        """The host shuts down cleanly; what does not end within ``seconds`` is killed."""
        deadline = time.monotonic() + seconds
        if (supervisor := self._supervisor()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(supervisor, signal.SIGTERM)  # nspawn makes it a poweroff
        while self.running and time.monotonic() < deadline:
            time.sleep(0.1)
        self.kill()

    def kill(self) -> None:
        """The host is off at once, as by a power cut; its disk stays."""
        cgroups.kill(self.cgroup)
        cgroups.remove(self.cgroup)
        network.delete_link(names.veth(self.machine))
        self._clear_supervisor()

    def _clear_supervisor(self) -> None:
        """What nspawn keeps of a host while it runs, and leaves behind when it is killed."""
        for part in ("propagate", "unix-export"):
            folder = NSPAWN / part / self.machine
            unmount_below(folder)
            if folder.is_dir():
                shutil.rmtree(folder)
        with contextlib.suppress(FileNotFoundError):
            root = self.root.stat()
            (NSPAWN / "locks" / f"inode-{root.st_dev}:{root.st_ino}").unlink()

    def destroy(self) -> None:
        """Nothing of the host is left: processes, cable, control groups, mounts, files."""
        self.kill()
        unmount_below(self.folder)
        if self.folder.exists():
            (self.folder / "made").unlink(missing_ok=True)
            shutil.rmtree(self.folder)
