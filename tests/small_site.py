"""The real program and its own phases on a site of four virtual hosts that needs nothing built.

``python -m tests.small_site FOLDER [argument …]`` runs casa-install on the inventory in FOLDER; :func:`prepare` makes
it. Everything is real but the table, which lacks what needs programs and images, the storage's data, which are small,
and the verification, which lacks what needs a hub.
"""

from __future__ import annotations

import hashlib
import io
import random
import sys
import tarfile
from ipaddress import IPv4Network
from pathlib import Path

from casa_install import cli, phases, verify
from casa_install.rehearsal import data
from casa_install.verify import names, pool
from casa_install.verify.context import Check, Context, expect

NAME = "small"
NETWORK = IPv4Network("10.97.13.0/24")
PHASES = ("base", "dns", "registry", "condor", "origin", "xcache")
INVENTORY = f"""\
[kube_control]
condor-1 ansible_host={NETWORK[11]}

[condor_manager]
condor-1

[condor_access]
condor-1

[condor_execute]
exec-1 ansible_host={NETWORK[12]} casa_condor_cpus=1 casa_condor_memory=1024

[xcache]
xcache-1 ansible_host={NETWORK[13]}

[kube_workers]
xcache-1

[gateway]
xcache-1

[dns]
dns-1 ansible_host={NETWORK[14]}

[registry]
dns-1

[origin]
dns-1

[all:vars]
casa_site_name={NAME}
casa_domain=small.test
casa_network={NETWORK}
casa_public_address={NETWORK[200]}
casa_rehearsal=true
casa_authenticator=dummy
casa_users=["alice", "bob"]
casa_admins=["alice"]
casa_xcache_memory=1
casa_job_containers=docker
"""
FILE = "store/mc/small.root"


def prepare(folder: Path) -> Path:
    """Make the inventory and what the storage serves: noise, the same each time."""
    (folder / "data").mkdir()
    content = random.Random(1).randbytes(1 << 20)  # noqa: S311 - no secret
    member = tarfile.TarInfo(FILE)
    member.size, member.mode = len(content), 0o644
    with tarfile.open(folder / "data" / "store.tar", "w") as tar:
        tar.addfile(member, io.BytesIO(content))
    (folder / "data" / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  {FILE}\n")
    (folder / "site.ini").write_text(INVENTORY)
    return folder / "site.ini"


def command(folder: Path, *arguments: str) -> list[str]:
    """The command line that runs it; its process is the program's own."""
    return [sys.executable, "-m", "tests.small_site", str(folder), *arguments]


async def members(context: Context) -> str:
    """The execute point has a slot in the pool, and its starter has run a container."""
    manager = context.site.one("condor_manager").name
    seen = await context.on(manager, "condor_status", "-autoformat", "Machine", pool.RUNS["docker"])
    expect(seen.split() == ["exec-1.small.test", "true"], f"the pool has {seen or 'nobody'}")
    return seen


async def queue(context: Context) -> str:
    """The access point answers."""
    return (await context.on("condor-1", "condor_q", "-totals")).strip()


async def served(context: Context) -> str:
    """The cache says who it is, and the storage, which lets nobody but the cache in, runs."""
    await context.on("dns-1", "systemctl", "is-active", "xrootd@origin")
    return await context.on("xcache-1", "xrdfs", "root://xcache.small.test", "query", "config", "sitename")


CHECKS = (Check("members", "The pool has its execute point", members), Check("queue", "Jobs can be queued", queue),
          Check("served", "Data are served", served))


def main() -> int:
    """Put what is small in the place of what is large and run the program."""
    folder = Path(sys.argv[1])
    phases.PHASES = phases.only(PHASES, phases.PHASES)
    data.location = lambda *_: folder / "data"
    verify.stages = lambda site: (names.CHECKS, (*CHECKS, pool.CHECKS[1]))
    verify.has_day = lambda site: False
    return cli.main([*sys.argv[2:], "--inventory", str(folder / "site.ini")])


if __name__ == "__main__":
    sys.exit(main())
