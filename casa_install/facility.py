"""A site opened for work: its Site, credentials, supplies, virtual hosts and the variables of its roles."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from casa_install.credentials import Credentials
from casa_install.credentials.vault import write_private
from casa_install.engine.connections import Connections, end_stale
from casa_install.engine.playbook import Target
from casa_install.phases import ROOT, Phase
from casa_install.rehearsal.hosts import Lab
from casa_install.site.load import load_site
from casa_install.site.model import Site, Vaulted
from casa_install.supply import Supply, cache_directory


class Facility:
    """Everything that the verbs need to work on one site."""

    def __init__(self, site: Site, vault_ids: tuple[str, ...] = ()) -> None:
        self.site, self.vault_ids = site, vault_ids
        self.credentials = Credentials(site)
        self.supply = Supply(site.registry, cache_directory(), site.settings.trusted_cas, site.settings.debian_mirror)

    @classmethod
    def open(cls, inventory: Path, extra: Sequence[str] = (), vault_ids: Sequence[str] = ()) -> Facility:
        """Read an inventory; ``ANSIBLE_VAULT_PASSWORD_FILE`` opens its encrypted values, as it does for Ansible.

        :param extra: ``NAME=VALUE`` or ``@FILE`` of the command line.
        :param vault_ids: ``LABEL@FILE`` of the command line.
        :raises InventoryErrors: with every problem of the inventory.
        """
        named = os.environ.get("ANSIBLE_VAULT_PASSWORD_FILE")
        passwords = [Path(named)] if named else []
        passwords += [Path(each.partition("@")[2]) for each in vault_ids]
        return cls(load_site(inventory, vault_passwords=passwords, extra=extra), tuple(vault_ids))

    @cached_property
    def lab(self) -> Lab:
        """The virtual hosts of a rehearsal."""
        settings = self.site.settings
        return Lab(settings.site_name, settings.network, {h.name: h.address for h in self.site.hosts},
                   settings.domain, mirror=settings.debian_mirror)

    @cached_property
    def connections(self) -> Connections:
        """The ssh connections of this run."""
        return Connections()

    @property
    def target(self) -> Target:
        """What playbooks work on."""
        return Target(self.site.inventory, self.credentials.vault.key, self.connections.folder, self.vault_ids)

    def new_logs(self) -> Path:
        """The folder for the logs of a run that begins now; it need not be there."""
        return self.site.state / "logs" / dt.datetime.now().strftime("%Y%m%d-%H%M%S")

    def close(self) -> None:
        """End what the run holds open, and what killed runs have left open."""
        if "connections" in self.__dict__:
            self.connections.close()
        end_stale()

    def connection(self) -> dict[str, Any]:
        """How ansible reaches virtual hosts; real hosts are reached as inventory and command line say."""
        if not self.site.settings.rehearsal:
            return {name: {"__ansible_vault": value.ciphertext} if isinstance(value, Vaulted) else value
                    for name, value in self.site.extra.items()}
        return {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.lab.private_key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.lab.known_hosts} -o IdentitiesOnly=yes",
        }

    def roles_of(self, phase: Phase) -> set[str]:
        """Names of the roles that a phase's playbook applies; a role that it only removes is none of them.

        :raises KeyError: the playbook takes a role's name from a variable that no setting decides.
        """
        assert phase.playbook
        chosen = {"{{ condor_containers }}": self.site.settings.job_containers}
        names = _names_of_roles(yaml.safe_load(phase.playbook.read_text()))
        return {chosen[name] if "{{" in name else name for name in names}

    def role_variables(self, role: str) -> dict[str, Any]:
        """The variables of one role, every name prefixed by the role's."""
        module = importlib.import_module(f"casa_install.rolevars.{role}")
        variables: dict[str, Any] = module.variables(self.site, self.supply, self.credentials)
        stray = [name for name in variables if not name.startswith(f"{role}_")]
        if stray:
            raise ValueError(f"variables of role {role} without its prefix: {', '.join(stray)}")
        return variables

    def write_variables(self, roles: set[str], path: Path, more: Mapping[str, Any] | None = None) -> None:
        """Write the extra variables of these roles, and more, encrypted under the site's vault key."""
        merged = self.connection() | dict(more or {})
        for role in sorted(roles):
            merged |= self.role_variables(role)
        write_private(path, self.credentials.vault.encrypt(json.dumps(merged)))

    def fingerprint(self, phase: Phase) -> str:
        """A digest of all that decides what a phase makes: playbook, roles with what they share, variables, hosts."""
        assert phase.playbook
        digest = hashlib.sha256(phase.playbook.read_bytes())
        roles = sorted(self.roles_of(phase))
        for folder in (ROOT / "library", ROOT / "module_utils", *(ROOT / "roles" / role for role in roles)):
            for file in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".pyc"):
                digest.update(f"{file.relative_to(ROOT)}\n".encode())
                digest.update(file.read_bytes())
        for role in roles:
            digest.update(json.dumps(self.role_variables(role), sort_keys=True, default=str).encode())
        digest.update(json.dumps([(h.name, str(h.address)) for h in phase.hosts(self.site)]).encode())
        return digest.hexdigest()


def _names_of_roles(plays: list[dict[str, Any]]) -> set[str]:
    """Names of the roles in a playbook, as they are written there."""
    names = {role if isinstance(role, str) else role["role"] for play in plays for role in play.get("roles", ())}
    tasks = [task for play in plays for part in ("pre_tasks", "tasks", "post_tasks") for task in play.get(part, ())]
    for task in tasks:
        for module in ("ansible.builtin.include_role", "ansible.builtin.import_role"):
            if module in task and task[module].get("tasks_from") != "remove":
                names.add(task[module]["name"])
    return names
