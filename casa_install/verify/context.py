"""What checks may use: the Site, name resolution by the site's own DNS, commands on hosts, kubectl."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.reversename

from casa_install.engine import playbook
from casa_install.engine.playbook import Listener, Play
from casa_install.facility import Facility
from casa_install.phases import PLAYBOOKS


class CheckError(Exception):
    """A check found something wrong; the message says what, and what was expected."""


def expect(condition: bool, message: str) -> None:
    """Fail the check with this message unless the condition holds."""
    if not condition:
        raise CheckError(message)


class Context:
    """One verification of a site; a temporary folder lives as long as the block it is used in."""

    def __init__(self, facility: Facility) -> None:
        self.facility = facility
        self.site = facility.site
        self._folder = tempfile.TemporaryDirectory(prefix="casa-verify-")
        self.folder = Path(self._folder.name)
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_text(facility.credentials.ca_certificate)
        self.resolver = dns.asyncresolver.Resolver(configure=False)
        self.resolver.nameservers = [str(h.address) for h in self.site.group("dns")]
        self.resolver.lifetime = 5
        self.memory: dict[str, Any] = {}
        """What one check found out and a later one needs."""
        self._commands = 0

    def close(self) -> None:
        """Remove the temporary folder."""
        self._folder.cleanup()

    def tls(self) -> ssl.SSLContext:
        """A client context that trusts the site CA and nothing else."""
        return ssl.create_default_context(cafile=str(self.ca_file))

    async def _ask(self, name: str, kind: str) -> list[str]:
        try:
            answer = await self.resolver.resolve(name, kind)
        except dns.exception.DNSException as error:
            servers = ", ".join(f"{host.name} ({host.address})" for host in self.site.group("dns"))
            raise CheckError(f"{name} is not resolved by {servers}: {error}") from None
        return sorted(str(record) for record in answer)

    async def addresses(self, name: str) -> list[str]:
        """A records of a name, as the site's DNS gives them."""
        return await self._ask(name, "A")

    async def names(self, address: str) -> list[str]:
        """Names that the site's DNS gives for an address."""
        return [name.rstrip(".") for name in await self._ask(str(dns.reversename.from_address(address)), "PTR")]

    async def on(self, host: str, *argv: str) -> str:
        """Standard output of a command that root runs on a host."""
        self._commands += 1
        work = self.folder / f"command-{self._commands}"
        return await asyncio.to_thread(self._on, host, argv, work)

    def _on(self, host: str, argv: tuple[str, ...], work: Path) -> str:
        work.mkdir()
        variables = work / "variables.vault"
        self.facility.write_variables(set(), variables)
        command = Play(PLAYBOOKS / "command.yml", {"command_host": host, "command_argv": list(argv)})
        outcome = playbook.run(self.facility.target, [command], variables, work, work / "log", Listener(),
                               wanted=["The command is run"])
        if not outcome.ok:
            raise CheckError(f"on {host}: {' '.join(argv)}: {outcome.failures[0].message}")
        return str(outcome.results[host, "The command is run"]["stdout"])

    async def kubectl(self, *argv: str) -> str:
        """Standard output of kubectl with the site's kubeconfig."""
        program = self.facility.supply.path("kubernetes") / "kube"
        process = await asyncio.create_subprocess_exec(
            "kubectl", "--kubeconfig", str(self.site.state / "kubeconfig"), "--request-timeout=20s", *argv,
            executable=str(program), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        if process.returncode:
            raise CheckError(f"kubectl {' '.join(argv)}: {err.decode().strip()}")
        return out.decode()

    async def objects(self, *argv: str) -> list[dict[str, Any]]:
        """Items of ``kubectl get … -o json``."""
        items: list[dict[str, Any]] = json.loads(await self.kubectl("get", *argv, "-o", "json"))["items"]
        return items


@dataclass(frozen=True)
class Check:
    """One line of the verdict: an async function that returns what it saw, or raises :class:`CheckError`."""

    name: str
    title: str
    prove: Callable[[Context], Awaitable[str]]
