"""What of a site a command line chooses: phases, hosts and Ansible's own options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from casa_install import phases
from casa_install.engine.playbook import Options
from casa_install.phases import Phase
from casa_install.site.model import Site
from casa_install.site.problems import nearest


class SelectionError(Exception):
    """The command line chooses what does not exist; the message says what to write."""


ALL = "all"
"""Tag of every task, in Ansible's words."""


@dataclass(frozen=True)
class Selection:
    """A part of a site's work."""

    phases: tuple[Phase, ...]
    hosts: frozenset[str] | None
    """Names of the only hosts that are worked on; None: all."""
    skip: bool
    """Complete phases are not run."""
    options: Options

    whole: bool
    """Nothing is left out."""


def tags(words: str) -> tuple[str, ...]:
    """Tags from the command line: names of phases, or Ansible's word for all of them, with commas between.

    :raises argparse.ArgumentTypeError: there is no phase of that name.
    """
    return tuple(word if word == ALL else phases.named(word) for word in map(str.strip, words.split(",")))


def vault_id(word: str) -> str:
    """``LABEL@FILE`` with an absolute path, of what ``--vault-id`` takes.

    :raises argparse.ArgumentTypeError: somebody would have to be asked.
    """
    label, _, source = word.rpartition("@")
    if source.startswith("prompt"):
        raise argparse.ArgumentTypeError("nobody is asked for passwords: write the password into a file")
    return f"{label or 'default'}@{Path(source).expanduser().absolute()}"


def select(site: Site, options: argparse.Namespace) -> Selection:
    """The part of the site that the options of ``apply`` and ``plan`` choose.

    :raises SelectionError: a phase or a host that the site does not have.
    """
    chosen = bool(options.first or options.only or options.tags or options.skip_tags)
    table = _chosen(site, options)
    hosts = _hosts(site, options.limit) if options.limit else None
    if hosts is not None:
        concerned = {p.name for p in table if hosts & {host.name for host in p.hosts(site)}}
        steps = {p.name for p in table if not p.playbook} & phases.needed(concerned, table)
        table = phases.only(concerned | steps, table)
    if not table:
        raise SelectionError("these options leave nothing to do: no phase works on what they choose")
    check = options.verb == "plan" or options.check
    return Selection(table, hosts, not (options.no_skip or chosen),
                     Options(options.verbosity, check, options.verb == "plan" or options.diff, options.limit),
                     whole=not chosen and hosts is None)


def _chosen(site: Site, options: argparse.Namespace) -> tuple[Phase, ...]:
    table = phases.phases_of(site)
    named = {options.first} if options.first else {*(options.only or ())}
    site_has = {p.name for p in table}
    if absent := (named | {*options.tags, *options.skip_tags}) - site_has - {ALL}:
        raise SelectionError(f"{', '.join(sorted(absent))}: phases of rehearsals only; nothing was changed.")
    if options.first:
        table = phases.following(options.first, table)
    elif options.only:
        table = phases.only(options.only, table)
    # a phase's name is the tag of all its tasks: a tag chooses whole phases, and what a phase made may be marked
    tagged, skipped = (site_has if ALL in words else {*words} for words in (options.tags, options.skip_tags))
    return phases.only({p.name for p in table if p.name in (tagged or site_has) - skipped}, table)


def _hosts(site: Site, pattern: str) -> frozenset[str]:
    """Hosts that a pattern of ``--limit`` means, as Ansible understands it."""
    from ansible.inventory.manager import InventoryManager, split_host_pattern  # slow to import and rarely needed
    from ansible.parsing.dataloader import DataLoader

    inventory = InventoryManager(loader=DataLoader(), sources=[str(site.inventory)])
    known = [*inventory.groups, *inventory.hosts]
    for part in split_host_pattern(pattern):
        if not part.startswith("@") and not inventory.get_hosts(part.lstrip("!&")):
            raise SelectionError(f"--limit: {part} is no host and no group of the inventory; "
                                 f"{nearest(part, known, 'hosts are ' + ', '.join(h.name for h in site.hosts))}")
    inventory.subset(pattern)
    hosts = frozenset(host.name for host in inventory.get_hosts("all"))
    if not hosts:
        raise SelectionError(f"--limit: {pattern} means no host")
    return hosts
