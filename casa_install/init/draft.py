"""From answers to an inventory: the example's text with the site's own values, checked as every inventory is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Interface, NetmaskValueError
from pathlib import Path
from tempfile import TemporaryDirectory

from casa_install.init.placing import place
from casa_install.init.provider import endpoints
from casa_install.site import InventoryErrors, Settings, load_site
from casa_install.site.checks_site import free_network

EXAMPLE = Path(__file__).resolve().parents[2] / "inventory" / "example"
REDIRECTOR = "cms-xrd-global.cern.ch:1094"
"""The experiment's entry to all of its storage."""
_HEAD = "# A Coffea-casa analysis facility, written by casa-install init.\n#"
_BODY = "# The hosts run Debian 13"
_SECRET = "casa_oidc_client_secret:"  # noqa: S105 - its name
_CLOSED = f"{_SECRET} !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"

Answers = Mapping[str, tuple[str, ...]]
"""Name of a question -> the words of its answer."""


@dataclass
class Draft:
    """An inventory that was made of answers."""

    inventory: str = ""
    variables: str = ""
    """Of ``group_vars/all.yml``, without the secrets."""
    site_name: str = ""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Question -> what is wrong with its answer and what to write."""


def draft(answers: Answers) -> Draft:
    """The inventory of these answers; what was not answered yet waits as in the example."""
    made = Draft(variables="".join(line for line in (EXAMPLE / "group_vars/all.yml").read_text().splitlines(True)
                                   if not line.startswith(_SECRET)))
    values: dict[str, tuple[str, str]] = {}
    hosts: dict[str, list[str]] | None = None
    for question, words in answers.items():
        try:
            if not words or not all(word.isprintable() for word in words):
                raise ValueError("the answer is empty or has a character that is no text; write one")
            if question == "hosts":
                hosts = place(words)
            else:
                values |= {name: (value, question) for name, value in _READ[question](words).items()}
        except ValueError as error:
            made.faults[question] = [str(error)]
    made.site_name = values.get("casa_site_name", ("", ""))[0]
    owners = _fill(made, values, hosts)
    unreadable = set(made.faults)
    for question, told in _problems(made, owners):
        if question in answers and question not in unreadable:
            made.faults.setdefault(question, []).append(told)
    return made


def _one(words: tuple[str, ...]) -> str:
    if len(words) != 1:
        raise ValueError(f"{' '.join(words)} is more than one word; write one")
    return words[0]


def _domain(words: tuple[str, ...]) -> dict[str, str]:
    domain = _one(words)
    slug = re.sub(r"[^a-z0-9-]", "", domain.split(".")[0]).lstrip("0123456789-")[:12].rstrip("-")
    return {"casa_domain": domain, "casa_site_name": slug if len(slug) > 1 else "casa"}


def _public_address(words: tuple[str, ...]) -> dict[str, str]:
    text = _one(words)
    try:
        interface = IPv4Interface(text)
    except (AddressValueError, NetmaskValueError):
        interface = None
    if interface is None or "/" not in text:
        raise ValueError(f"{text} is not an address with its network; write one such as 10.1.0.200/24")
    made = {"casa_public_address": str(interface.ip), "casa_network": str(interface.network)}
    taken = [interface.network]
    for name in ("pod_network", "service_network"):
        net = Settings.model_fields[name].default
        if any(net.overlaps(each) for each in taken):
            net = free_network([*taken, Settings.model_fields["service_network"].default], net.prefixlen)
        taken.append(net)
        made[f"casa_{name}"] = str(net)
    return made


def _users(words: tuple[str, ...]) -> dict[str, str]:
    return {"casa_users": json.dumps(words), "casa_admins": json.dumps(words[:1])}


_READ: dict[str, Callable[[tuple[str, ...]], dict[str, str]]] = {
    "domain": _domain,
    "public_address": _public_address,
    "issuer": lambda words: {f"casa_oidc_{name}": url for name, url in endpoints(_one(words)).items()},
    "client_id": lambda words: {"casa_oidc_client_id": _one(words)},
    "users": _users,
    "origin": lambda words: {"casa_xcache_origin": _one(words)},
}


def _fill(made: Draft, values: Mapping[str, tuple[str, str]], hosts: Mapping[str, list[str]] | None) -> dict[int, str]:
    """Write the inventory's text and return which question made which of its lines."""
    text = (EXAMPLE / "site.ini").read_text()
    lines, owners = _HEAD.split("\n"), {}
    section = ""
    for line in text[text.index(_BODY):].splitlines():
        name = line.partition("=")[0]
        if line.startswith("["):
            section = line.strip("[]")
            lines.append(line)
            if hosts is not None and section in hosts:
                owners[len(lines)] = "hosts"
                for host in hosts[section]:
                    lines.append(host)
                    owners[len(lines)] = "hosts"
        elif not line or line.startswith("#") or (section != "all:vars" and hosts is None):
            lines.append(line)
        elif section == "all:vars":
            value, question = values.get(name, ("", ""))
            lines.append(f"{name}={value}" if question else f"#{line}" if name == "casa_cms_site" else line)
            owners[len(lines)] = question if name != "casa_admins" else ""  # they are users: said once
    made.inventory = "\n".join(lines) + "\n"
    return owners


def _problems(made: Draft, owners: Mapping[int, str]) -> list[tuple[str, str]]:
    """Question and words of everything that the Site's checks refuse."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "group_vars").mkdir()
        (folder / "group_vars/all.yml").write_text(made.variables + _CLOSED)
        (folder / "site.ini").write_text(made.inventory)
        try:
            load_site(folder / "site.ini")
        except InventoryErrors as refused:
            return [(owners.get(each.line, ""), f"{each.message}; {each.remedy}") for each in refused.problems
                    if each.file.name == "site.ini"]
    return []
