"""Writes what a role on the shared rehearsal needs: ``facility.py ROLE FOLDER`` makes ``variables.json`` there, 0600.

The site is the embedded rehearsal, or the inventory that CASA_SITE names. The variables are the installation's own,
so that a scenario on an installed facility changes nothing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from casa_install.credentials.vault import write_private
from casa_install.facility import Facility

INVENTORY = Path(os.environ.get("CASA_SITE", Path(__file__).parents[2] / "inventory" / "rehearsal" / "site.ini"))
NODES = ("kube_control", "kube_workers", "gateway")


def main(role: str, folder: Path) -> None:
    """Write the file."""
    facility = Facility.open(INVENTORY.resolve())
    variables = facility.role_variables(role)
    variables["scenario_connection"] = facility.connection()
    variables["scenario_nodes"] = [
        {"name": host.name, "address": str(host.address), "groups": [g for g in host.groups if g in NODES]}
        for host in facility.site.hosts if set(host.groups) & set(NODES)
    ]
    write_private(folder / "variables.json", json.dumps(variables).encode())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
