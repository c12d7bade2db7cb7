"""Verbs and flags of ``casa-install``; what they do stands in :mod:`casa_install.verbs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from casa_install import init, phases, selection, verbs
from casa_install.engine import removal

VERBS = {
    "init": "write the inventory of a new site, from four questions or from flags",
    "apply": "converge the site, then prove it (the default)",
    "plan": "ask the hosts what an apply would change, and show it; changes nothing",
    "check": "ask every host what stands in an installation's way; changes nothing",
    "verify": "prove that a user's day works, from outside",
    "status": "show when each phase last ran and how it ended",
    "report": "write what stands where, what happened and what is pinned, as a page and as data",
    "diagnose": "pack logs and states of all hosts, without secrets, into one archive for an expert",
    "password": "print the shared password of a rehearsal's users",
    "remove": "take the facility, hosts or components away again",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-i", "--inventory", type=Path, required=True, metavar="SITE.INI", help="the site's inventory")
    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument("-e", "--extra-vars", dest="extra", action="append", default=[], metavar="NAME=VALUE",
                         help="settings that overrule the inventory in this run; also JSON, or @FILE: a YAML file")
    reading.add_argument("--vault-id", dest="vault_ids", action="append", default=[], type=selection.vault_id,
                         metavar="[LABEL@]FILE", help="a file with a password of the inventory's encrypted values")
    reading.add_argument("--vault-password-file", "--vault-pass-file", dest="vault_ids", action="append",
                         type=selection.vault_id, metavar="FILE", help="the same without a label")
    top = argparse.ArgumentParser(
        prog="casa-install", description="Turns bare-metal hosts into a Coffea-casa analysis facility.",
        epilog="Exit status: 0 converged and verified, 1 something failed, 2 refused before any host was touched, "
        "130 stopped by Ctrl-C.")
    commands = top.add_subparsers(dest="verb", metavar="VERB")
    for verb, meaning in VERBS.items():
        parents = [shared] if verb == "init" else [shared, reading]
        command = commands.add_parser(verb, help=meaning, parents=parents, description=meaning)
        if verb in ("apply", "plan"):
            which = command.add_mutually_exclusive_group()
            which.add_argument("--no-skip", action="store_true", help="run phases that are complete, too")
            which.add_argument("--from", dest="first", type=phases.named, metavar="PHASE",
                               help="run this phase and all that need it, complete or not, and no other; "
                               "the site is not verified")
            which.add_argument("--only", type=phases.all_named, metavar="PHASE[,PHASE…]",
                               help="run these phases, complete or not, and no other; the site is not verified")
            command.add_argument("-v", "--verbose", dest="verbosity", action="count", default=0,
                                 help="have Ansible write more into the log; -vv, -vvv: still more")
            command.add_argument("-l", "--limit", default="", metavar="HOSTS",
                                 help="work on these hosts and groups only")
            command.add_argument("-t", "--tags", type=selection.tags, action="extend", default=[],
                                 metavar="PHASE[,PHASE…]",
                                 help="only tasks of these tags; a phase's name is its tasks' tag")
            command.add_argument("--skip-tags", type=selection.tags, action="extend", default=[],
                                 metavar="PHASE[,PHASE…]", help="no tasks of these tags")
        if verb == "apply":
            command.add_argument("--no-verify", action="store_true", help="converge only")
            command.add_argument("-C", "--check", action="store_true",
                                 help="change nothing: a plan without differences")
            command.add_argument("-D", "--diff", action="store_true", help="have differences of files shown: with "
                                 "--check on the screen, as plan does, else in the log")
        if verb == "init":
            init.add_flags(command)
        if verb in ("verify", "status", "plan", "check"):
            command.add_argument("--json", action="store_true", help="print JSON")
        if verb == "report":
            command.add_argument("--output", type=Path, metavar="DIR",
                                 help="where to write it; .casa/report beside the inventory by default")
        if verb == "diagnose":
            command.add_argument("--output", type=Path, metavar="FILE",
                                 help="the archive; .casa/diagnose/SITE-TIME.tar.gz beside the inventory by default")
        if verb == "remove":
            command.add_argument("hosts", nargs="*", metavar="HOST", help="take these hosts out of the facility")
            command.add_argument("--component", dest="components", type=phases.all_named, default=frozenset(),
                                 metavar="PHASE[,PHASE…]", help="take away what these phases made on hosts")
            command.add_argument("--wait", type=minutes, default=removal.SECONDS // 60, metavar="MINUTES",
                                 help="how long jobs and pods have to end before their host goes (%(default)s)")
            command.add_argument("--force", action="store_true",
                                 help="end them, and give up volumes that lie on a host that goes")
            command.add_argument("--yes", action="store_true", help="do not ask")
    return top


def minutes(word: str) -> int:
    """A number of minutes from the command line.

    :raises argparse.ArgumentTypeError: it is none, or less than one.
    """
    if word.isascii() and word.isdigit() and 0 < int(word) < 100_000:
        return int(word)
    raise argparse.ArgumentTypeError(f"{word!r} is no number of minutes; write 1 or more")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] not in VERBS and words[0] not in ("-h", "--help"):
        words.insert(0, "apply")
    top = parser()
    if not words:
        top.print_help()
        return 2
    options = top.parse_args(words)
    return verbs.run(options)
