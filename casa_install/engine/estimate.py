"""How long a run still takes: the way through the graph of phases with so many at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


def remaining(needs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], running: Collection[str],
              workers: int) -> float:
    """Seconds until every job is done, when they start as :mod:`casa_install.engine.scheduler` starts them.

    :param needs: job -> jobs before it, for all that are not done; needs that are not among them are done.
    :param seconds: job -> what is left of it.
    :param running: jobs that run already.
    """
    ends = {name: seconds[name] for name in running}
    waiting = [name for name in needs if name not in ends]
    busy = sorted(ends, key=lambda name: ends[name])
    now = 0.0
    while waiting or busy:
        for name in list(waiting):
            if len(busy) >= workers:
                break
            if all(need not in waiting and need not in busy for need in needs[name]):
                waiting.remove(name)
                ends[name] = now + seconds[name]
                busy.append(name)
        if not busy:
            raise ValueError(f"needs run in a circle: {', '.join(waiting)}")
        first = min(busy, key=lambda name: ends[name])
        busy.remove(first)
        now = max(now, ends[first])
    return now
