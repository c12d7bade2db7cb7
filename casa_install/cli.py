"""Verbs and flags of ``casa-install``; what they do stands in :mod:`casa_install.verbs`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from casa_install import verbs

VERBS = {
    "apply": "converge the site, then prove it (the default)",
    "plan": "show phases and hosts, and what would run; touches no host",
    "check": "ask every host what stands in an installation's way; changes nothing",
    "verify": "prove that a user's day works, from outside",
    "status": "show when each phase last ran and how it ended",
    "password": "print the shared password of a rehearsal's users",
    "remove": "take the whole facility away again",
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-i", "--inventory", type=Path, required=True, metavar="SITE.INI", help="the site's inventory")
    top = argparse.ArgumentParser(
        prog="casa-install", description="Turns bare-metal hosts into a Coffea-casa analysis facility.",
        epilog="Exit status: 0 converged and verified, 1 something failed, 2 refused before any host was touched.")
    commands = top.add_subparsers(dest="verb", metavar="VERB")
    for verb, meaning in VERBS.items():
        command = commands.add_parser(verb, help=meaning, parents=[shared], description=meaning)
        if verb == "apply":
            command.add_argument("--no-skip", action="store_true", help="run phases that are complete, too")
            command.add_argument("--no-verify", action="store_true", help="converge only")
        if verb in ("verify", "status", "plan", "check"):
            command.add_argument("--json", action="store_true", help="print JSON")
        if verb == "remove":
            command.add_argument("--yes", action="store_true", help="do not ask")
    return top


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
