"""Runs named jobs side by side, each after the jobs it needs."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Mapping, Sequence


def run(needs: Mapping[str, Sequence[str]], work: Callable[[str], bool], workers: int,
        stopped: Callable[[], bool] = lambda: False) -> dict[str, bool | None]:
    """Run ``work(name)`` for every name, at most ``workers`` at a time.

    After a job that returns False, or once ``stopped()``, nothing new starts; what runs is finished.

    :returns: name -> True (done), False (failed) or None (never started), in the order of ``needs``.
    :raises ValueError: when a need is unknown or needs run in a circle.
    """
    unknown = {need for wanted in needs.values() for need in wanted} - set(needs)
    if unknown:
        raise ValueError(f"unknown needs: {', '.join(sorted(unknown))}")
    results: dict[str, bool | None] = dict.fromkeys(needs)
    waiting = list(needs)
    running: dict[concurrent.futures.Future[bool], str] = {}
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            over = stopped() or any(result is False for result in results.values())
            ready = [] if over else [n for n in waiting if all(results[need] for need in needs[n])]
            for name in ready[: workers - len(running)]:
                waiting.remove(name)
                running[pool.submit(work, name)] = name
            if not running:
                if over:
                    break
                raise ValueError(f"needs run in a circle: {', '.join(waiting)}")
            finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                results[running.pop(future)] = future.result()
    return results
