"""The report as one self-contained HTML page: no script, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from casa_install.engine.history import History
from casa_install.report import landscape
from casa_install.report.facts import last_apply
from casa_install.report.timeline import timeline
from casa_install.site.model import Site
from casa_install.supply.supply import duration

TEMPLATES = Path(__file__).with_name("templates")
RUNS_SHOWN = 20


def page(site: Site, history: History, facts: dict[str, Any]) -> str:
    """The page."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(duration=duration, when=_when, written=_written)
    run = last_apply(history)
    titles = {phase["name"]: phase["title"] for phase in facts["phases"]}
    return environment.get_template("report.html").render(
        facts=facts, wide=landscape.wide(site), narrow=landscape.narrow(site), zones=_zones(site), titles=titles,
        run=run, timeline=timeline(run, titles, [host.name for host in site.hosts]) if run else None,
        changes=_changes(facts), checks=_checks(facts), runs_shown=RUNS_SHOWN)


def _when(text: str | None) -> str:
    """A moment as people write it, to the minute."""
    return f"{dt.datetime.fromisoformat(text):%Y-%m-%d %H:%M}" if text else ""


def _written(value: Any) -> str:
    """A setting's value as an inventory writes it."""
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _zones(site: Site) -> dict[str, str]:
    return {zone.key: zone.title for zone in landscape.zones(site)}


def _changes(facts: dict[str, Any]) -> dict[str, Any] | None:
    """Changes of the last run that changed something, by phase and host; tasks in the order in which they ended."""
    changes = facts["changes"]
    if not changes:
        return None
    number = changes[-1]["run"]
    mine = [change for change in changes if change["run"] == number]
    counted = Counter((change["phase"], change["host"]) for change in mine)
    phases = [p["name"] for p in facts["phases"]]
    phases += sorted({c["phase"] for c in mine} - set(phases))  # of an earlier version
    hosts = [h["name"] for h in facts["hosts"]]
    hosts += sorted({c["host"] for c in mine} - set(hosts))  # no longer in the inventory
    lists = {phase: {host: [c["task"] for c in mine if (c["phase"], c["host"]) == (phase, host)]
                     for host in hosts if counted[phase, host]} for phase in phases}
    return {"run": next(run for run in facts["runs"] if run["number"] == number), "hosts": hosts,
            "phases": {phase: found for phase, found in lists.items() if found}}


def _checks(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Checks of the last verification, each with its results in all that are shown (None: was not run or not there)."""
    proofs = facts["verifications"]
    return [{**check, "history": [(proof["started"], next((c["passed"] for c in proof["checks"]
                                                           if c["name"] == check["name"]), None)) for proof in proofs]}
            for check in (proofs[-1]["checks"] if proofs else ())]
