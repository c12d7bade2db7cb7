"""Everything that a report says, as one JSON object: gathered from the Site, the journal, the supply and the vault.

Every text in it has passed the guard: a secret that this machine knows is replaced, wherever it stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel

from casa_install.credentials.expiry import Holding, endless, holdings, secret_values
from casa_install.credentials.redaction import Redactor
from casa_install.engine.history import History, PhaseRun, Run, Verification
from casa_install.facility import Facility
from casa_install.phases import Phase, phases_of
from casa_install.report.landscape import links
from casa_install.report.supplied import Artifact
from casa_install.site.model import GROUPS, HostSettings, Settings, Site, Vaulted
from casa_install.site.values import plain_type

SECRET = "(secret)"  # noqa: S105 - the mask
HISTORY = 20
"""Verifications whose checks are shown."""


def gather(facility: Facility, history: History, artifacts: Sequence[Artifact], now: dt.datetime) -> dict[str, Any]:
    """All facts of a report at a moment.

    :raises VaultError: the vault does not open.
    """
    site = facility.site
    held = holdings(site, facility.credentials)
    last = last_apply(history)
    facts = {
        "site": {"name": site.settings.site_name, "domain": site.settings.domain, "inventory": str(site.inventory),
                 "rehearsal": site.settings.rehearsal},
        "made": moment(now.timestamp()),
        "state": state(history),
        "warnings": [warning(each, now) for each in held if each.state(now) != "valid"],
        "hosts": _hosts(site, history),
        "connections": [asdict(link) for link in links(site)],
        "phases": [_phase(site, phase, history) for phase in phases_of(site)],
        "runs": [_run(run) for run in history.runs],
        "last_apply": last.number if last else None,
        "changes": [{"run": run.number, "at": moment(c.at), "phase": c.phase, "host": c.host, "task": c.task}
                    for run in history.runs for c in run.changes],
        "verifications": [_verification(each) for each in history.verifications[-HISTORY:]],
        "artifacts": [_artifact(each) for each in artifacts],
        "expiry": [_holding(each, now) for each in held],
        "endless": endless(facility.credentials),
        "settings": settings(site.settings, "casa_"),
    }
    guarded: dict[str, Any] = redacted(facts, Redactor(secret_values(site, facility.credentials)))
    return guarded


def redacted(value: Any, redactor: Redactor) -> Any:
    """The value with every secret in its texts replaced."""
    if isinstance(value, dict):
        return {redacted(key, redactor): redacted(each, redactor) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, redactor) for each in value]
    return redactor.known(value) if isinstance(value, str) else value


def moment(seconds: float | None) -> str | None:
    """Local time with its offset, ISO 8601 in seconds."""
    return None if seconds is None else dt.datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def last_apply(history: History) -> Run | None:
    """The newest run of apply."""
    return next((run for run in reversed(history.runs) if run.verb == "apply"), None)


def state(history: History) -> dict[str, str]:
    """How the site stands: ``kind`` is ``good``, ``bad``, ``open`` or ``none``, ``words`` say it."""
    run = last_apply(history)
    removal = history.runs[-1] if history.runs and history.runs[-1].verb.startswith("remove ") else None
    proof = history.verifications[-1] if history.verifications else None
    if run is None:
        return {"kind": "none", "words": "This site was never applied."}
    if run.verdict is None:
        return {"kind": "bad", "words": "The last run did not end: it still goes on, or it was killed."}
    if run.verdict != "converged" and not (run.verdict == "failed" and _only_proof_failed(run)):
        failed = ", ".join(p.name for p in run.phases if p.outcome == "failed")
        return {"kind": "bad", "words": f"The last run {_ENDINGS.get(run.verdict, run.verdict)}"
                                        + (f" in {failed}." if failed else ".")}
    if removal and removal.verdict != "converged":
        ending = _ENDINGS.get(removal.verdict or "", "did not end")
        return {"kind": "bad", "words": f"The last run, {removal.verb}, {ending}."}
    if removal and (proof is None or proof.started < removal.started):
        return {"kind": "open", "words": f"Converged, then changed by {removal.verb}, and not verified since."}
    if proof is None or proof.started < run.started:
        return {"kind": "open", "words": "Converged, and not verified since."}
    if proof.verdict != "verified":
        failed = "; ".join(check.title for check in proof.checks if check.passed is False)
        return {"kind": "bad", "words": f"Converged, but not verified: {proof.passed} of {len(proof.checks)} checks "
                                        f"passed. Failed: {failed}."}
    return {"kind": "good", "words": f"Converged and verified: {len(proof.checks)} checks passed."}


_ENDINGS = {"failed": "failed", "refused": "was refused: nothing was changed", "interrupted": "was interrupted"}


def _only_proof_failed(run: Run) -> bool:
    return bool(run.phases) and all(phase.outcome in ("converged", "unchanged") for phase in run.phases)


def warning(holding: Holding, now: dt.datetime) -> dict[str, str]:
    """What an admin has to know of a certificate or token that ends soon or has ended."""
    when = f"{holding.ends:%Y-%m-%d}"
    ends = f"expired on {when}" if holding.state(now) == "expired" else (
        f"expires on {when}, in {holding.days(now)} days")
    return {"level": holding.state(now), "text": f"{holding.kind} {holding.name} {ends}: {holding.remedy}"}


def _hosts(site: Site, history: History) -> list[dict[str, Any]]:
    return [{"name": host.name, "fqdn": site.fqdn(host), "address": str(host.address), "groups": list(host.groups),
             "runs": [GROUPS[group] for group in host.groups],
             "phases": [p.name for p in phases_of(site) if host in p.hosts(site)],
             "settings": [each for each in settings(host.settings, "casa_") if not each["default"]],
             "differences": list(history.differences.get(host.name, ()))}
            for host in site.hosts]


def settings(model: Settings | HostSettings, prefix: str) -> list[dict[str, Any]]:
    """Every setting as (name, value, whether it is the default's); what the model calls a secret has no value."""
    found = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if plain_type(field.annotation) is Vaulted:
            shown: Any = None if value is None else SECRET
        else:
            shown = _plain(value)
        default = not field.is_required() and value == field.get_default(call_default_factory=True)
        found.append({"name": f"{prefix}{name}", "value": shown, "default": default,
                      "meaning": " ".join((field.description or "").split()).replace("``", "")})
    return found


def _plain(value: Any) -> Any:
    """A setting's value for JSON, as an inventory writes it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _phase(site: Site, phase: Phase, history: History) -> dict[str, Any]:
    ran: PhaseRun | None = next((p for run in reversed(history.runs) for p in run.phases if p.name == phase.name), None)
    return {"name": phase.name, "title": phase.title, "needs": list(phase.needs),
            "hosts": [host.name for host in phase.hosts(site)],
            "outcome": (ran.outcome or "interrupted") if ran else "never run",
            "at": moment(ran.started) if ran else None,
            "seconds": round(ran.ended - ran.started, 1) if ran and ran.ended else None}


def _run(run: Run) -> dict[str, Any]:
    return {"number": run.number, "verb": run.verb, "started": moment(run.started), "ended": moment(run.ended),
            "seconds": round(run.last_sign - run.started, 1), "verdict": run.verdict or "did not end",
            "changed": sum(phase.changed for phase in run.phases), "noted": len(run.changes),
            "phases": [{"name": p.name, "started": moment(p.started), "ended": moment(p.ended),
                        "outcome": p.outcome or "interrupted", "changed": p.changed} for p in run.phases]}


def _verification(proof: Verification) -> dict[str, Any]:
    return {"started": moment(proof.started), "seconds": round(proof.ended - proof.started, 1), "run": proof.run,
            "verdict": proof.verdict, "passed": proof.passed, "checks": [asdict(check) for check in proof.checks]}


def _artifact(artifact: Artifact) -> dict[str, Any]:
    return {"id": artifact.id, "name": artifact.name, "kind": artifact.kind, "version": artifact.version,
            "content_key": artifact.key, "built": artifact.built, "reference": artifact.reference,
            "sha256": dict(artifact.files), "debian_packages": len(artifact.debian),
            "pinned": {kind: sum(p.ecosystem == kind for p in artifact.packages) for kind in
                       sorted({p.ecosystem for p in artifact.packages})}}


def _holding(holding: Holding, now: dt.datetime) -> dict[str, Any]:
    return {"kind": holding.kind, "name": holding.name, "subject": holding.subject, "place": holding.place,
            "begins": holding.begins.isoformat() if holding.begins else None, "ends": holding.ends.isoformat(),
            "days": holding.days(now), "state": holding.state(now), "remedy": holding.remedy}
