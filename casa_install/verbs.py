"""What the verbs do: each is one function from options to an exit status."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from casa_install import init, mishaps, preflight, verify
from casa_install.credentials import VaultError
from casa_install.diagnose.verb import diagnose
from casa_install.dryrun import verb as dryrun
from casa_install.engine import remains, removal
from casa_install.engine.converge import SIDE_BY_SIDE, Convergence, Verdict
from casa_install.engine.interrupt import EXIT
from casa_install.engine.journal import REMOVED, Journal
from casa_install.engine.lock import LockedError, hold
from casa_install.engine.progress import Progress
from casa_install.engine.removal import Removal
from casa_install.facility import Facility
from casa_install.leaving import Leaving, Scope, what_is_left_to_do
from casa_install.phases import phases_of
from casa_install.planning import expected
from casa_install.preflight.verb import check
from casa_install.rehearsal.commands import RehearsalError
from casa_install.report import write_report
from casa_install.rolevars.hub import client_secret
from casa_install.selection import SelectionError, select
from casa_install.site.model import STATE
from casa_install.site.problems import InventoryErrors
from casa_install.steps import STEPS

CONVERGED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, EXIT


def run(options: argparse.Namespace) -> int:
    """Run a verb; what an admin can put right is said in words, never as a traceback."""
    console = Console(highlight=False)
    errors = Console(stderr=True, highlight=False)
    if options.verb == "init":  # there is no site yet
        return init.run(options, console, errors)
    try:
        with contextlib.closing(Facility.open(options.inventory.resolve(), options.extra,
                                              options.vault_ids)) as facility:
            return _TABLE[options.verb](facility, options, console)
    except InventoryErrors as problems:
        for problem in problems.problems:
            errors.print(str(problem), markup=False, soft_wrap=True)
        errors.print(f"{len(problems.problems)} problem(s); nothing was changed.", markup=False)
        return REFUSED
    except KeyboardInterrupt:
        errors.print("Stopped; the same command goes on from here.", markup=False)
        return INTERRUPTED
    except (LockedError, RehearsalError, VaultError, SelectionError) as error:
        errors.print(str(error), markup=False, soft_wrap=True)
        return REFUSED
    except Exception as error:  # an admin reads what to do, never a traceback
        for line in mishaps.told(error, options.inventory.resolve().parent / STATE / "journal.sqlite"):
            errors.print(line, markup=False, soft_wrap=True)
        return FAILED


def _journal(facility: Facility) -> Journal:
    return Journal(facility.site.state / "journal.sqlite")


def _ensure_timely(facility: Facility) -> None:
    """An apply that starts with an expired certificate would end without a working cache; InventoryErrors says so."""
    if facility.site.passing:
        raise InventoryErrors(facility.site.passing)


def _ensure_secrets_open(facility: Facility) -> None:
    """What the last phase needs is found out before the first; VaultError when a secret does not open."""
    if facility.site.settings.authenticator == "oidc":
        client_secret(facility.site.settings)


def apply(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Converge and verify."""
    if options.check:
        return plan(facility, options, console)
    selected = select(facility.site, options)
    _ensure_timely(facility)
    _ensure_secrets_open(facility)
    with hold(facility.site.state / "lock"):
        journal = _journal(facility)
        convergence = Convergence(facility, selected.phases, STEPS, preflight.look, journal,
                                  Progress(console, SIDE_BY_SIDE), skip=selected.skip,
                                  expected=expected(facility, selected.phases, journal, skip=selected.skip),
                                  options=selected.options, hosts=selected.hosts)
        journal.begin_run("apply")
        verdict = convergence.run()
        say(verdict, options, console)
        code, word = verdict.code, verdict.word
        try:
            if code == CONVERGED and not options.no_verify and selected.whole:
                word = "failed"
                code = verify.run(facility, journal, console)
                word = verdict.word if code == CONVERGED else word
        except KeyboardInterrupt:
            word = "interrupted"
            raise
        finally:
            journal.end_run(word)
            journal.close()
    if code == CONVERGED and not selected.whole:
        part = "phases" if selected.hosts is None else "hosts"
        console.print(f"Only some {part} were run, and nothing was verified: casa-install verify proves the site.",
                      markup=False)
    elif code == CONVERGED:
        console.print(f"\nUsers log in at https://hub.{facility.site.settings.domain}/", markup=False)
    return code


def say(verdict: Verdict, options: argparse.Namespace, console: Console) -> None:
    """What a run came to, in words: host, task, message, log, next command."""
    for refusal in verdict.refusals:
        console.print(f"refused: {refusal}", markup=False, soft_wrap=True)
    if verdict.refusals:
        console.print("Nothing was changed.", markup=False)
        console.print(f"  log:  {verdict.logs['preflight']}", markup=False, soft_wrap=True)
    for phase, failures in verdict.failures.items():
        for failure in failures:
            console.print(f"\nfailed: {phase} on {failure.host or 'the installing machine'}: {failure.task}",
                          markup=False, soft_wrap=True)
            if failure.explanation:
                console.print(f"  cause: {failure.explanation.meaning}", markup=False, soft_wrap=True)
                console.print(f"  mend:  {failure.explanation.remedy}", markup=False, soft_wrap=True)
            for line in failure.message.splitlines():
                console.print(f"    {line}", markup=False, soft_wrap=True)
        console.print(f"  log:  {verdict.logs[phase]}", markup=False, soft_wrap=True)
    again = f"casa-install {_same_command(options)}--inventory {options.inventory}"
    if verdict.failures:
        console.print(f"  next: mend the cause and run again: {again}", markup=False, soft_wrap=True)
    elif verdict.interrupted:
        at = "; ".join(f'{phase} at "{step}"' if step else phase for phase, step in verdict.stopped.items())
        console.print(f"Stopped by Ctrl-C{f' in {at}' if at else ''}; the same command goes on there: {again}",
                      markup=False, soft_wrap=True)
    if verdict.code == CONVERGED:
        console.print(f"Converged: {verdict.changed} changed.", markup=False)


def _same_command(options: argparse.Namespace) -> str:
    """Verb and scope of a removal, which the next command has to name; an apply goes without."""
    if options.verb != "remove":
        return ""
    components = f"--component {','.join(sorted(options.components))} " if options.components else ""
    return f"remove {''.join(f'{host} ' for host in options.hosts)}{components}"


def plan(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Ask the hosts what an apply would do, and show it."""
    selected = select(facility.site, options)
    _ensure_timely(facility)
    _ensure_secrets_open(facility)
    with hold(facility.site.state / "lock"):
        return dryrun.plan(facility, selected, preflight.look, console, as_json=getattr(options, "json", False))


def verify_site(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Prove the site."""
    with contextlib.closing(_journal(facility)) as journal:
        return verify.run(facility, journal, console, as_json=options.json)


def report(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Write what is known of the site; 1 when something has expired."""
    folder = (options.output or facility.site.state / "report").resolve()
    try:
        written = write_report(facility, folder)
    except OSError as error:
        console.print(f"the report cannot be written to {folder}: {error.strerror}; choose another folder: "
                      "--output DIR", markup=False, soft_wrap=True)
        return REFUSED
    for warning in written.warnings:
        console.print(warning, markup=False, soft_wrap=True)
    for path in written.files:
        console.print(str(path), markup=False, soft_wrap=True)
    return FAILED if written.expired else CONVERGED


def status(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Show each phase's newest record; that of a killed run, or of one that still runs, is not ended."""
    journal = _journal(facility)
    rows: list[dict[str, Any]] = []
    for phase in phases_of(facility.site):
        newest = journal.newest(phase.name)
        outcome = (newest.outcome or "not ended") if newest else "never run"
        rows.append({"phase": phase.name, "title": phase.title, "outcome": outcome,
                     "at": dt.datetime.fromtimestamp(newest.started).astimezone().isoformat(timespec="seconds")
                     if newest else None, "changed": newest.changed if newest else 0})
    journal.close()
    if options.json:
        console.print_json(json.dumps(rows))
    else:
        for row in rows:
            console.print(f"{row['phase']:<11} {row['outcome']:<11} {row['at'] or '':<26} {row['title']}", markup=False)
    return CONVERGED


def password(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Print the password of the dummy authenticator; the one place where a secret is shown, because it is asked for."""
    if facility.site.settings.authenticator != "dummy":
        console.print("Users of this site log in at their identity provider.", markup=False)
        return REFUSED
    console.print(facility.credentials.secret("hub-dummy-password", 8), markup=False)
    return CONVERGED


def remove(facility: Facility, options: argparse.Namespace, console: Console) -> int:
    """Take the facility, hosts or components away: a whole rehearsal with its hosts, all else by the roles' removal."""
    if options.hosts and options.components:
        console.print("remove takes hosts or --component, not both; nothing was changed.", markup=False)
        return REFUSED
    chosen = tuple(phase.name for phase in phases_of(facility.site) if phase.name in options.components)
    leaving = Leaving(facility.site, Scope(tuple(dict.fromkeys(options.hosts)), chosen))
    with contextlib.closing(_journal(facility)) as journal:
        newest = {name: journal.newest(name) for name in leaving.phases}
    installed = [name for name, record in newest.items() if not record or record.outcome != REMOVED]
    if refusals := _absent(options, chosen) or leaving.refusals(installed):
        for refusal in refusals:
            console.print(f"refused: {refusal}", markup=False, soft_wrap=True)
        console.print("Nothing was changed.", markup=False)
        return REFUSED
    if not (options.yes or _agreed(facility, leaving, console)):
        return REFUSED
    _ensure_secrets_open(facility)
    with hold(facility.site.state / "lock"):
        return _remove(facility, leaving, options, console)


def _absent(options: argparse.Namespace, chosen: tuple[str, ...]) -> list[str]:
    return [f"{name} is a phase of rehearsals only" for name in sorted(options.components - set(chosen))]


def _agreed(facility: Facility, leaving: Leaving, console: Console) -> bool:
    """Ask on a terminal; elsewhere nobody can agree."""
    name = facility.site.settings.site_name
    if not sys.stdin.isatty():
        console.print("remove needs --yes when nobody can be asked.", markup=False)
        return False
    data = "all its data" if facility.site.settings.rehearsal else "all its data but users' homes"
    what = (f"Remove the facility {name} with {data}? Type its name: " if leaving.whole else
            f"Take {leaving.scope.words.removeprefix('--component ')} out of the facility {name}? Type its name: ")
    if input(what).strip() != name:
        console.print("Nothing was changed.", markup=False)
        return False
    return True


def _compared(verdict: Verdict, inventory: Path, console: Console) -> None:
    """Say how the hosts differ from what they were; where one does, the log outlives the site's state."""
    for line in remains.told(verdict.differences):
        console.print(line, markup=False, soft_wrap=True)
    if any(verdict.differences.values()):
        kept = shutil.copy(str(verdict.logs[removal.NAME]), str(inventory.parent / "removal.log"))
        console.print(f"  log:  {kept}", markup=False, soft_wrap=True)


def _remove(facility: Facility, leaving: Leaving, options: argparse.Namespace, console: Console) -> int:
    """Take it away under the site's lock."""
    name = facility.site.settings.site_name
    if leaving.whole and facility.site.settings.rehearsal:
        try:
            for kept in facility.lab.down():
                console.print(f"the kernel does not take back: {kept}", markup=False)
        except RehearsalError as error:  # by now something may be gone
            console.print(str(error), markup=False, soft_wrap=True)
            return FAILED
    else:
        with contextlib.closing(_journal(facility)) as journal:
            journal.begin_run(f"remove {leaving.scope.words}".strip())
            verdict = Removal(facility, leaving, journal, Progress(console), seconds=60 * options.wait,
                              force=options.force).run()
            journal.end_run(verdict.word)
        if verdict.code:
            say(verdict, options, console)
            return verdict.code
        _compared(verdict, facility.site.inventory, console)
    if not leaving.whole:
        console.print(what_is_left_to_do(leaving), markup=False, soft_wrap=True)
        return CONVERGED
    shutil.rmtree(facility.site.state)
    facility.credentials.vault.key.unlink(missing_ok=True)
    console.print(f"The facility {name} is gone; built programs and images stay in the cache.", markup=False)
    return CONVERGED


_TABLE: dict[str, Callable[[Facility, argparse.Namespace, Console], int]] = {
    "apply": apply, "plan": plan, "check": check, "verify": verify_site, "status": status, "report": report,
    "diagnose": diagnose,
    "password": password, "remove": remove,
}
