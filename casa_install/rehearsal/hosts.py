"""Labs: named sets of virtual hosts on a network of their own."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from casa_install.rehearsal import aptconf, base, names, network, records, resolvers, sysctls
from casa_install.rehearsal.commands import RehearsalError, ensure_programs, ensure_root, run
from casa_install.rehearsal.records import HostRecord, LabRecord
from casa_install.rehearsal.virtual_host import VirtualHost

AT_ONCE = 4
"""Hosts that boot at the same time: more only get into each other's way."""


class Lab:
    """A named set of virtual hosts.

    The machine is the first address of the network, and hosts reach the outside through it.
    ``memory`` limits hosts, in MiB. ``mirror`` is a Debian mirror's URL, ``upstream_resolvers`` are
    name servers that hosts can ask; both are the machine's own unless they are given.
    """

    def __init__(
        self,
        name: str,
        network: IPv4Network,
        hosts: Mapping[str, IPv4Address],
        domain: str = "casa.test",
        *,
        memory: Mapping[str, int] | None = None,
        mirror: str | None = None,
        upstream_resolvers: Iterable[IPv4Address] = (),
    ) -> None:
        names.check_lab_name(name)
        names.check_addresses(network, dict(hosts))
        unknown = sorted(set(memory or {}) - set(hosts))
        if unknown:
            raise RehearsalError(f"a memory limit is given for {', '.join(unknown)}, which is no host of lab {name}")
        self.name = name
        self.network = network
        self.hosts = dict(hosts)
        self.domain = domain
        self.memory = dict(memory or {})
        self.mirror = mirror
        self._resolvers = tuple(upstream_resolvers)

    @property
    def upstream_resolvers(self) -> tuple[IPv4Address, ...]:
        """Name servers of the outside that hosts can ask."""
        if not self._resolvers:
            self._resolvers = tuple(resolvers.machine_resolvers())
        return self._resolvers

    @property
    def folder(self) -> Path:
        """Where the lab's key, known hosts, inventory and disks are."""
        return records.lab_folder(self.name)

    @property
    def private_key(self) -> Path:
        """The ssh key that opens every host for root."""
        return self.folder / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' ssh keys, for ssh to check."""
        return self.folder / "known_hosts"

    @property
    def inventory(self) -> Path:
        """An INI inventory of all hosts with what Ansible needs to reach them."""
        return self.folder / "inventory.ini"

    @property
    def ssh_arguments(self) -> list[str]:
        """Options with which ssh reaches the hosts, and knows that it is them."""
        return [
            *("-i", str(self.private_key)),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes"),
        ]

    def up(self) -> None:
        """Every host of the lab runs and answers on ssh; hosts that the lab no longer has are gone.

        Hosts that run are left alone, those that do not are started with the disk they have.
        """
        ensure_root()
        ensure_programs()
        with records.lab_lock(self.name):
            self._refuse_taken_names()
            debian = base.Base(aptconf.machine_mirror(self.mirror), self.upstream_resolvers)
            record = self._reconcile(debian.key)
            if debian.key in {host.base for host in record.hosts.values()}:
                debian.ensure()
            base.prune()
            with records.machine_lock():
                sysctls.prepare()
                network.up(self.name, self.network)
            public_key = self._ensure_key()
            virtual = [VirtualHost(record, name) for name in self.hosts]
            _each(virtual, lambda host: host.ensure_files(public_key))
            self._write_access(virtual)
            _each(virtual, _boot)

    def _refuse_taken_names(self) -> None:
        for other in records.labs():
            if other.name == self.name:
                continue
            if names.tag(other.name) == names.tag(self.name):
                raise RehearsalError(f"lab {other.name} has the same short name as {self.name}: choose another")
            if other.network.overlaps(self.network):
                raise RehearsalError(
                    f"network {self.network} overlaps {other.network} of lab {other.name}: choose another, "
                    f"or end that lab (down --name {other.name})"
                )

    def _reconcile(self, key: str) -> LabRecord:
        """Hosts that are not wanted as they are go; the record then says what is to be."""
        old = records.load(self.name)
        if old is not None and (old.network != self.network or old.domain != self.domain):
            _clear(old)
            old = None
        kept = {} if old is None else dict(old.hosts)
        for name, host in list(kept.items()):
            whole = host.base == key or base.root_of(host.base).is_dir()
            if old is not None and (self.hosts.get(name) != host.address or not whole):
                VirtualHost(old, name).destroy()
                del kept[name]
        wanted = {
            name: HostRecord(
                address=address, base=kept[name].base if name in kept else key, memory=self.memory.get(name)
            )
            for name, address in self.hosts.items()
        }
        record = LabRecord(
            name=self.name, network=self.network, domain=self.domain, resolvers=self.upstream_resolvers, hosts=wanted
        )
        record.save()
        return record

    def _ensure_key(self) -> str:
        public = self.private_key.with_suffix(".pub")
        if not (self.private_key.exists() and public.exists()):
            partial = self.folder / "ssh_key.partial"
            for path in (partial, partial.with_name("ssh_key.partial.pub")):
                path.unlink(missing_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"casa-install lab {self.name}", "-f", partial)
            partial.rename(self.private_key)
            partial.with_name("ssh_key.partial.pub").rename(public)
        return public.read_text()

    def _write_access(self, virtual: list[VirtualHost]) -> None:
        known = [f"{host.address},{host.name},{host.name}.{self.domain} {host.public_host_key}\n" for host in virtual]
        records.write(self.known_hosts, "".join(known))
        options = " ".join(self.ssh_arguments[2:])
        lines = [
            "[all]",
            *(f"{host.name} ansible_host={host.address}" for host in virtual),
            "",
            "[all:vars]",
            "ansible_user=root",
            f"ansible_ssh_private_key_file={self.private_key}",
            f"ansible_ssh_common_args={options}",
            "ansible_python_interpreter=/usr/bin/python3",
        ]
        records.write(self.inventory, "".join(f"{line}\n" for line in lines))

    def down(self) -> list[str]:
        """Nothing of the lab is left on this machine; see :func:`down`."""
        return down(self.name)

    def status(self) -> dict[str, str]:
        """``up``, ``down`` or ``absent`` for each host."""
        record = records.load(self.name)
        states = {} if record is None else status(record)
        return {name: states.get(name, "absent") for name in self.hosts}


def status(record: LabRecord) -> dict[str, str]:
    """``up`` or ``down`` for each host of a lab."""
    return {name: "up" if VirtualHost(record, name).running else "down" for name in record.hosts}


def existing(name: str) -> LabRecord:
    """The record of a lab.

    :raises RehearsalError: there is no such lab.
    """
    names.check_lab_name(name)
    record = records.load(name)
    if record is None:
        there = ", ".join(lab.name for lab in records.labs()) or "none"
        raise RehearsalError(f"there is no lab {name}; labs on this machine: {there}")
    return record


def opened(name: str) -> Lab:
    """The lab of that name as it was last brought up."""
    record = existing(name)
    limits = {host: entry.memory for host, entry in record.hosts.items() if entry.memory is not None}
    addresses = {host: entry.address for host, entry in record.hosts.items()}
    return Lab(
        name, record.network, addresses, record.domain, memory=limits, upstream_resolvers=record.resolvers
    )


def down(name: str) -> list[str]:
    """Nothing of the lab is left, and after the last lab the machine's settings are as they were.

    A lab that is not there is no error. Returns settings that the kernel refused to take back.
    """
    ensure_root()
    with records.lab_lock(name):
        record = records.load(name)
        if record is not None:
            _clear(record)
        records.forget(name)
    with records.machine_lock():
        return [] if network.any_lab() else sysctls.restore()


def _clear(record: LabRecord) -> None:
    _each([VirtualHost(record, name) for name in record.hosts], lambda host: host.destroy())
    with records.machine_lock():
        network.down(record.name, record.network)


def start(name: str, host: str) -> None:
    """One host boots and answers on ssh."""
    with _one(name, host) as virtual:
        _boot(virtual)


def stop(name: str, host: str) -> None:
    """One host shuts down cleanly; its disk stays."""
    with _one(name, host) as virtual:
        virtual.stop()


def kill(name: str, host: str) -> None:
    """One host loses its power; its disk stays."""
    with _one(name, host) as virtual:
        virtual.kill()


@contextlib.contextmanager
def _one(name: str, host: str) -> Iterator[VirtualHost]:
    ensure_root()
    record = existing(name)
    if host not in record.hosts:
        raise RehearsalError(f"lab {name} has no host {host}; it has {', '.join(record.hosts)}")
    with records.lab_lock(name):
        yield VirtualHost(existing(name), host)


def _boot(host: VirtualHost) -> None:
    host.start()
    host.wait()


def _each(virtual: list[VirtualHost], act: Callable[[VirtualHost], None]) -> None:
    """Do it for all hosts, some at a time; all are tried before the first error is raised."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        for future in [pool.submit(act, host) for host in virtual]:
            future.result()
