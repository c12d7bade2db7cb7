"""Draws what gets built, from the phase table and the groups, into the README.

``python -m casa_install.drawing`` rewrites the picture, ``--check`` fails when it is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from casa_install.phases import EVERY_HOST, PHASES, ROOT
from casa_install.site.model import GROUPS

BEGIN, END = "<!-- drawn from the phase table -->\n", "<!-- end of the drawing -->"


def picture() -> str:
    """A Mermaid flow chart: one box a phase with the groups it changes, one arrow a need."""
    lines = ["```mermaid", "flowchart LR"]
    for phase in PHASES:
        where = ", ".join("every host" if group == EVERY_HOST else group for group in phase.groups)
        only = "<br/>(rehearsals)" if phase.rehearsal_only else ""
        lines.append(f'  {phase.name}["<b>{phase.title}</b><br/>{where or "installing machine"}{only}"]')
    lines += [f"  {need} --> {phase.name}" for phase in PHASES for need in phase.needs]
    lines += ["```", "", "| group | its hosts run | phases |", "|---|---|---|"]
    for group, meaning in GROUPS.items():
        touched = [p.name for p in PHASES if group in p.groups or EVERY_HOST in p.groups]
        lines.append(f"| `{group}` | {meaning} | {', '.join(touched)} |")
    return "\n".join(lines) + "\n"


def drawn(text: str) -> str:
    """The README's text with the picture as it must be."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + picture() + END + tail


def main(readme: Path = ROOT / "README.md") -> int:
    """Rewrite or check the README."""
    text = readme.read_text()
    if "--check" in sys.argv:
        return int(text != drawn(text))
    readme.write_text(drawn(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
