"""What a host says of itself, as ``playbooks/files/preflight`` prints it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Space(_Frozen):
    """The file system where a path is, or will be."""

    device: int
    free: int
    """Bytes that programs may still write."""
    size: int
    inodes: int | None
    """Files that programs may still make; None where the file system does not count them."""
    noexec: bool
    """Whether programs there cannot be run."""


class Kept(_Frozen):
    """How the clock is kept."""

    daemon: str
    """The running daemon's process; empty when there is none."""
    installed: bool
    """Whether a package that keeps the clock is installed."""
    right: bool
    """Whether the kernel has been told that its clock is right."""


class Listener(_Frozen):
    """A socket that waits for others."""

    protocol: str
    address: str
    port: int
    program: str
    """Empty when the kernel itself holds the socket."""
    pid: int


class Peer(_Frozen):
    """What became of the attempt to reach another host."""

    address: str
    silent: dict[int, str]
    """TCP port that does not answer -> why; a port that refuses has answered."""
    router: str
    """The router on the way; empty when both are on one link."""
    ping: bool | None
    """None where there is no ping."""
    whole: bool | None
    """Whether a packet as large as the link's MTU came back; None when that was not tried."""


class Facts(_Frozen):
    """All facts of one host."""

    clock: float
    """The host's time when it was asked."""
    sent: float
    """The asking machine's time just before."""
    uid: int
    """Of the account that answered; root's is 0."""
    marks: dict[str, str]
    """Phase that has begun here -> its mark, empty while it is not complete."""
    name: str
    memory: int
    """Bytes."""
    cores: int
    cgroup: int
    """Version of the hierarchy at /sys/fs/cgroup."""
    controllers: list[str]
    """Controllers of cgroups that can be used."""
    release: str
    """The running kernel's."""
    features: dict[str, bool | None]
    """Option of the kernel -> whether it is there; None where the kernel's settings are unknown."""
    no_namespaces: str
    """The kernel's setting that keeps users from making namespaces; empty when there is none."""
    enforcing: bool
    """Whether SELinux enforces."""
    kept: Kept
    reboots: bool
    """Whether the host reboots by itself after upgrades."""
    spaces: dict[str, Space]
    programs: dict[str, str]
    """Program that is installed -> its path."""
    docker_is_ours: bool
    listeners: list[Listener]
    hosts: dict[str, list[str]]
    """Name in the hosts file -> its addresses."""
    reverse: list[str]
    """Names of the host's own address."""
    forward: dict[str, list[str]]
    """Name of the site -> addresses that the host's name service gives it."""
    mtu: int
    """MTU of the interface with the host's address; 0 when no interface has it."""
    peers: list[Peer]
    drops: list[str]
    """What drops packets that come in."""

    def begun(self, phases: tuple[str, ...]) -> bool:
        """Whether one of these phases has begun on the host: what belongs to it may be ours."""
        return any(phase in self.marks for phase in phases)
