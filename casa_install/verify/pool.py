"""The HTCondor pool: its execute points are there, and its manager demands authentication and encryption."""

from __future__ import annotations

import asyncio

from casa_install.verify.context import Check, Context, expect

RUNS = {"apptainer": "HasSIF", "docker": "HasDocker"}
"""What an execute point tells once its starter has run a container."""
PATIENCE = 60  # seconds for execute points to advertise themselves after a restart of the manager


async def members(context: Context) -> str:
    """Every execute point advertises slots with the worker image that the registry holds."""
    manager = context.site.one("condor_manager").name
    runs = RUNS[context.site.settings.job_containers]
    wanted = {context.site.fqdn(h) for h in context.site.group("condor_execute")}
    for _ in range(PATIENCE // 5):
        rows = (await context.on(manager, "condor_status", "-startd", "-af", "Machine", "CasaWorkerImage",
                                 runs, "TotalCpus")).splitlines()
        found = {row.split()[0]: row.split()[1:] for row in rows}
        if set(found) >= wanted:
            break
        await asyncio.sleep(5)
    missing = ", ".join(sorted(wanted - set(found)))
    expect(not missing, f"{missing}: not in the pool, which has {', '.join(sorted(found)) or 'nobody'}")
    tag = context.facility.supply.image("worker").rpartition(":")[2]
    for machine in wanted:
        expect(found[machine][0] == tag, f"{machine} has worker image {found[machine][0]}, expected {tag}")
        expect(found[machine][1] == "true", f"{machine} cannot run container jobs ({runs} is {found[machine][1]})")
    return f"{len(wanted)} execute points with worker image {tag}"


async def encrypted(context: Context) -> str:
    """A session with the collector is encrypted by AES, and every level of access is as demanding."""
    manager = context.site.one("condor_manager").name
    text = await context.on(manager, "condor_ping", "-type", "COLLECTOR", "-verbose", "READ")
    for line in ("Encryption: AES", "Integrity: AES"):
        expect(line in " ".join(text.split()) or line.replace(":", " :") in " ".join(text.split()),
               f"the collector's session lacks '{line}':\n{text}")
    knobs = [f"SEC_{level}_{what}" for level in ("READ", "WRITE", "DAEMON", "CLIENT")
             for what in ("AUTHENTICATION", "ENCRYPTION", "INTEGRITY")]
    values = (await context.on(manager, "condor_config_val", *knobs)).split()
    for knob, value in zip(knobs, values, strict=True):
        expect(value.upper() == "REQUIRED", f"{knob} is {value}, expected REQUIRED")
    return "AES, every level REQUIRED"


CHECKS = (
    Check("pool-members", "The pool has its execute points", members),
    Check("pool-encryption", "The pool speaks encrypted", encrypted),
)
