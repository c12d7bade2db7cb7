"""Writes docs/preflight.md from the tables of checks and components: ``python -m casa_install.preflight.docs``."""

from __future__ import annotations

from casa_install.phases import ROOT
from casa_install.preflight import CHECKS
from casa_install.preflight.components import COMPONENTS, FEW, Place

PAGE = ROOT / "docs" / "preflight.md"

_HEAD = """\
# What is checked before anything is changed

<!-- Written by `python -m casa_install.preflight.docs` from casa_install/preflight: edit there. -->

`casa-install check` asks all hosts at once and says everything it finds, host by host, each with its remedy; `--json`
prints the same for programs. Every `apply` begins with it. A refusal stops an apply before anything is changed (exit
status 2); a warning is said once, and the apply goes on. Nothing is written on a host, and hosts connect to no others
than those of the inventory.

What casa-install has begun to install on a host, complete or not, is its own and no finding: each phase leaves a file
in `/var/lib/casa-install/begun` before it changes anything, and removal takes it away. A rehearsal's virtual hosts
share a machine, so that what would be comfortable is not asked of them.
"""


def page() -> str:
    """The whole page."""
    checks = [f"| {check.name} | {check.meaning} |" for check in CHECKS]
    rows = []
    for part in COMPONENTS:
        room = ", ".join(map(_room, part.places))
        ports = [*(f"{port}" for port in part.tcp), *(f"{port}/udp" for port in part.udp)]
        programs = ", ".join(f"`{each.program}`" for each in part.software)
        memory = "{:g} / {:g}".format(*part.memory) if any(part.memory) else ""
        rows.append(f"| {part.title} | {memory} | {room} | {', '.join(ports)} | {programs} |")
    return "\n".join([_HEAD, "| check | what is looked at |", "|---|---|", *checks, "",
                      "## What components need", "",
                      "In GiB, what is refused below / what is warned of below; the cache needs `casa_xcache_memory` "
                      "besides.",
                      f"A directory needs {FEW} free inodes, or those in brackets. What packages and programs take in "
                      "`/usr` and apt's", "cache is estimated, by the sizes that apt tells of them with all that they "
                      "bring along.", "",
                      "| component | memory | room | ports | software of others that is in the way |",
                      "|---|---|---|---|---|", *rows, ""])


def _room(place: Place) -> str:
    inodes = f" ({place.inodes})" if place.inodes != FEW else ""
    return f"`{place.path}` {place.needed:g} / {place.comfortable:g}{inodes}"


if __name__ == "__main__":
    PAGE.write_text(page())
