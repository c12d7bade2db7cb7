"""Proves a site from outside: one line a check, a verdict, the same as JSON.

Each file of this package holds the checks of one system; :func:`stages` is their order. Checks of a stage run side
by side, a stage begins when the one before it has passed.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict, dataclass

from rich.console import Console

from casa_install.engine.journal import CheckRecord, Journal
from casa_install.facility import Facility
from casa_install.site.model import Site
from casa_install.verify import day, gateway, kubernetes, names, pool, registry, storage
from casa_install.verify.context import Check, CheckError, Context

Stage = tuple[Check, ...]

SYSTEM: tuple[Stage, ...] = (
    names.CHECKS,
    registry.CHECKS + pool.CHECKS + storage.CHECKS + kubernetes.CHECKS + gateway.CHECKS,
)
DAY: tuple[Stage, ...] = tuple((check,) for check in day.CHECKS)

NO_DAY = ("The users' day was not lived: it needs a rehearsal, whose data are known, with two users who log in by the "
          "rehearsal's password.")

NEXT = ("  next: casa-install --no-skip --inventory {0} puts right what it can; "
        "casa-install diagnose --inventory {0} collects what the daemons say")


def has_day(site: Site) -> bool:
    """Whether the users' day can be lived: it needs the rehearsal's data, and two accounts we may log in as."""
    settings = site.settings
    return settings.rehearsal and settings.authenticator == "dummy" and len(settings.users) > 1


def stages(site: Site) -> tuple[Stage, ...]:
    """The checks that can be done on a site."""
    return SYSTEM + DAY if has_day(site) else SYSTEM


@dataclass(frozen=True)
class Finding:
    """The result of one check; seconds is how long it took."""

    name: str
    title: str
    passed: bool
    seconds: float
    detail: str


async def _find(check: Check, context: Context) -> Finding:
    began = time.monotonic()
    try:
        detail, passed = await check.prove(context), True
    except CheckError as error:
        detail, passed = str(error), False
    except Exception as error:  # a check that breaks has proved nothing
        detail, passed = f"{type(error).__name__}: {error}".rstrip(": "), False
    return Finding(check.name, check.title, passed, round(time.monotonic() - began, 1), detail)


async def _run(context: Context, console: Console, quiet: bool) -> list[Finding]:
    findings: list[Finding] = []
    try:
        for stage in stages(context.site):
            for running in asyncio.as_completed([_find(check, context) for check in stage]):
                finding = await running
                findings.append(finding)
                if not quiet:
                    console.print(f"{'passed' if finding.passed else 'FAILED'} {finding.seconds:6.1f} s  "
                                  f"{finding.title}: {finding.detail}", markup=False, soft_wrap=True)
            if not all(f.passed for f in findings):
                break
    finally:
        await day.leave(context)
    return findings


def _record(journal: Journal, site: Site, began: float, findings: list[Finding]) -> None:
    """Note every check of the site in the journal, those that were not run too."""
    ran = {f.name for f in findings}
    left = [check for stage in stages(site) for check in stage if check.name not in ran]
    journal.verified(began, [CheckRecord(f.name, f.title, f.passed, f.seconds, f.detail) for f in findings]
                     + [CheckRecord(check.name, check.title, None, 0, "") for check in left])


def run(facility: Facility, journal: Journal, console: Console, *, as_json: bool = False) -> int:
    """Run every check, note the results in the journal and print the verdict; 0 when all passed, else 1."""
    began = time.time()
    context = Context(facility)
    try:
        findings = asyncio.run(_run(context, console, as_json))
    finally:
        context.close()
    _record(journal, facility.site, began, findings)
    total = sum(len(stage) for stage in stages(facility.site))
    passed = sum(f.passed for f in findings)
    verdict = "verified" if passed == total else "not verified"
    if as_json:
        console.print_json(json.dumps({"verdict": verdict, "checks": total, "passed": passed,
                                       "day": has_day(facility.site), "findings": [asdict(f) for f in findings]}))
    else:
        left = total - len(findings)
        console.print(f"{verdict}: {passed} of {total} checks passed" + (f", {left} not run" if left else ""),
                      markup=False)
        if not has_day(facility.site):
            console.print(NO_DAY, markup=False, soft_wrap=True)
        if passed < total:
            console.print(NEXT.format(facility.site.inventory), markup=False, soft_wrap=True)
    return 0 if passed == total else 1
