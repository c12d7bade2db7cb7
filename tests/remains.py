"""What a virtual host has beyond, or lacks of, the base file system that it was made from.

``python -m tests.remains LAB HOST`` prints the software that differs, a line each, and exits with 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from casa_install.rehearsal import records
from casa_install.rehearsal.base import root_of


def trees(lab: str, host: str) -> tuple[Path, Path]:
    """The folder of a host's own files, and the base below it."""
    record = records.load(lab)
    assert record, f"no lab {lab}"
    return records.lab_folder(lab) / "hosts" / host / "upper", root_of(record.hosts[host].base)


def software(*layers: Path) -> set[str]:
    """Packages, which of them apt may drop, accounts and groups with their members: a line each.

    :param layers: file systems, of which the first that has a file counts.
    """
    def text(path: str) -> str:
        return next((file.read_text() for layer in layers if (file := layer / path).is_file()), "")

    found = set()
    for entry in text("var/lib/dpkg/status").split("\n\n"):
        fields = dict(re.findall(r"^(Package|Architecture|Version|Status): (.+)$", entry, re.MULTILINE))
        if fields:
            found.add("package " + " ".join(fields[key] for key in sorted(fields)))
    for entry in text("var/lib/apt/extended_states").split("\n\n"):
        if "Auto-Installed: 1" in entry:
            found.add("automatic " + re.findall(r"^Package: (.+)$", entry, re.MULTILINE)[0])
    for file in ("passwd", "group"):
        found |= {f"{file} {line}" for line in text(f"etc/{file}").splitlines()}
    return found


def of_software(lab: str, host: str) -> list[str]:
    """Lines of ``software`` that a host has beyond its base, with a plus, or lacks, with a minus."""
    upper, lower = trees(lab, host)
    now, before = software(upper, lower), software(lower)
    return [f"+ {line}" for line in sorted(now - before)] + [f"- {line}" for line in sorted(before - now)]


if __name__ == "__main__":
    differences = of_software(*sys.argv[1:])
    print("\n".join(differences))
    sys.exit(bool(differences))
