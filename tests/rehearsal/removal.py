"""The roles' removal of the whole rehearsal, as on real hosts: the program itself would take the virtual hosts away."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console

from casa_install.engine.converge import Verdict
from casa_install.engine.journal import Journal
from casa_install.engine.progress import Progress
from casa_install.engine.removal import Removal
from casa_install.facility import Facility
from casa_install.leaving import Leaving, Scope
from tests.rehearsal.conftest import INVENTORY, STATE


def remove() -> Verdict:
    """Every role takes itself off every host, jobs or no jobs."""
    with closing(Facility.open(INVENTORY)) as facility, closing(Journal(STATE / "journal.sqlite")) as journal:
        journal.begin_run("remove")
        return Removal(facility, Leaving(facility.site, Scope()), journal, Progress(Console(quiet=True)),
                       force=True).run()


if __name__ == "__main__":
    remove()
