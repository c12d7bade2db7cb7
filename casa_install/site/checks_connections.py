"""Checks of the variables by which Ansible reaches the hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from casa_install.site.model import Vaulted
from casa_install.site.problems import Problems
from casa_install.site.values import PLACEHOLDER, placeholder, sealed_placeholder, shown
from casa_install.site.variables import Variables

SECRETS = frozenset({
    "ansible_password", "ansible_ssh_pass", "ansible_ssh_password", "ansible_become_password", "ansible_become_pass",
    "ansible_sudo_pass", "ansible_su_pass", "ansible_ssh_private_key_passphrase", "ansible_private_key_passphrase",
    "ansible_private_key", "ansible_ssh_private_key", "ansible_paramiko_pass", "ansible_paramiko_password",
})


def check_connections(variables: Variables, site: Mapping[str, Any], problems: Problems) -> None:
    """Nothing waits for an edit, passwords are encrypted and ports are ports; a rehearsal's hosts have no secrets."""
    for given in variables.written:
        if not given.name.startswith("ansible_") or given.name == "ansible_host" or site.get("rehearsal"):
            continue
        data = given.data
        waiting = placeholder(data)
        # of a secret, nothing is shown that may be a part of it
        if waiting == PLACEHOLDER or (waiting and given.name not in SECRETS):
            problems.add(given.place, f"{given.name} still has {waiting} in it", "write your site's own")
        elif sealed_placeholder(given, problems):
            continue
        elif given.name in SECRETS and not isinstance(data, Vaulted) and not _looks_up(str(data)):
            problems.add(given.place, f"{given.name} is a secret in clear",
                         f"let ansible-vault encrypt_string --prompt --name {given.name} print it for group_vars")
        elif given.name == "ansible_become_user" and str(data).strip("\"'") != "root" and "{{" not in str(data):
            problems.add(given.place, f"ansible_become_user is {shown(data)}, and only root can install",
                         "write root or delete it")
        elif given.name == "ansible_port" and not _is_port(data):
            problems.add(given.place, f"ansible_port is {shown(data)}", "write a port between 1 and 65535")


def _looks_up(text: str) -> bool:
    """True for a template that takes something from elsewhere; one that only has texts in it says the secret itself."""
    from jinja2 import Environment, TemplateSyntaxError, nodes  # rarely needed

    try:
        names = list(Environment(autoescape=True).parse(text).find_all(nodes.Name))
    except (TemplateSyntaxError, RecursionError):
        return False
    own = {each.name for each in names if each.ctx == "store"}
    return any(each.name not in own for each in names)


def _is_port(data: Any) -> bool:
    text = str(data).strip("\"'")
    return "{{" in text or (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= 65535)
