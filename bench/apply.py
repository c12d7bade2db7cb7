"""Measures an apply of the embedded rehearsal: phases, builds, and ratios within one run.

Prints the seconds of each phase and each build, and how an apply compares with a plain shell script that installs the
same Debian packages on the same virtual hosts, and with a second apply. Everything is built before the clock starts.
"""

from __future__ import annotations

import concurrent.futures
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from casa_install.facility import Facility
from casa_install.rehearsal.hosts import Lab

ROOT = Path(__file__).resolve().parent.parent
INVENTORY = ROOT / "inventory" / "rehearsal" / "site.ini"
JOURNAL = INVENTORY.parent / ".casa" / "journal.sqlite"
def casa(*words: str) -> float:
    """Run the program; seconds it took."""
    began = time.monotonic()
    subprocess.run([ROOT / "casa-install", *words, "--inventory", INVENTORY], check=True, stdout=sys.stderr)
    return time.monotonic() - began


def newest_phases() -> dict[str, float]:
    """Phase -> seconds in the journal's newest run."""
    with sqlite3.connect(JOURNAL) as journal:
        return dict(journal.execute(
            "select name, ended - started from phase where run = (select max(id) from run) order by started"))


def on(lab: Lab, host: str, command: str) -> str:
    """Standard output of a shell command on a virtual host."""
    return subprocess.run(["ssh", *lab.ssh_arguments, f"root@{lab.hosts[host]}", command], check=True,
                          capture_output=True, text=True).stdout


def shell_script(lab: Lab, wanted: dict[str, list[str]]) -> float:
    """Seconds that apt-get alone takes for these packages (name=version) on fresh hosts, all hosts at once."""
    install = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: on(lab, host, f"{install} {' '.join(wanted[host])}"), wanted))
    return time.monotonic() - began


def main() -> int:
    """Measure and print."""
    for builder in (["casa_install.supply", "build"], ["casa_install.rehearsal", "data"]):
        subprocess.run([sys.executable, "-m", *builder], cwd=ROOT, check=True, stdout=sys.stderr)
    lab = Facility.open(INVENTORY).lab
    casa("remove", "--yes")
    lab.up()
    listing = "dpkg-query -W -f '${Package}=${Version}\\n'"
    fresh = {host: set(on(lab, host, listing).split()) for host in lab.hosts}
    first = casa("apply", "--no-verify")
    phases = newest_phases()
    added = {host: sorted(set(on(lab, host, listing).split()) - fresh[host]) for host in lab.hosts}
    second = casa("apply", "--no-verify")
    casa("remove", "--yes")
    lab.up()
    plain = shell_script(lab, added)
    lab.down()

    print("phase                seconds")
    for name, seconds in phases.items():
        print(f"{name:<18} {seconds:9.1f}")
    print(subprocess.run([sys.executable, "-m", "casa_install.supply", "list"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout)
    print(f"first apply {first:.1f} s, second apply {second:.1f} s, "
          f"plain script {plain:.1f} s for {sum(map(len, added.values()))} packages")
    print(f"first apply : plain script = {first / plain:.2f}")
    print(f"second apply : first apply = {second / first:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
