"""Where the last runs stopped, in one sentence."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from casa_install.engine.journal import REMOVED, Journal, PhaseRecord

_HOW = {"failed": "failed", "interrupted": "was stopped"}


def sentence(journal: Journal, phases: Iterable[str]) -> str | None:
    """Say which of these phases were not completed when they ran last, and that they are gone on with.

    Call it before the run's own phases begin. None when every phase that ever ran was completed.
    """
    newest = [record for name in phases if (record := journal.newest(name))]
    open_ones = [record for record in newest if not record.complete and record.outcome != REMOVED]
    if not open_ones:
        return None
    last = dt.datetime.fromtimestamp(max(record.last_sign for record in open_ones)).strftime("%Y-%m-%d %H:%M")
    names = ", ".join(record.name for record in open_ones)
    return f"Last time ({last}) {'; '.join(map(_place, open_ones))}: this run goes on with {names}."


def _place(record: PhaseRecord) -> str:
    how = _HOW.get(record.outcome or "", "was killed")
    host = f" on {record.host}" if record.host else ""
    return f"{record.name} {how}{host}" + (f' at "{record.step}"' if record.step else "")
