"""Every role's Molecule scenario on virtual hosts of its own: converge, idempotence, verify, removal."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.scenarios import ON_THE_REHEARSAL, ON_THEIR_OWN, ROOT, WITH_PROGRAMS, run_scenario

AT_ONCE = 2
"""Scenarios that run side by side: most of a scenario's time is waiting for its hosts."""


@pytest.fixture(scope="session")
def running(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """The chosen scenarios, of which some run at any time; each test waits for its own."""
    calls = (getattr(item, "callspec", None) for item in request.session.items)
    names = [call.params["scenario"] for call in calls if call]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run_scenario, name) for name in names}


def test_every_role_has_a_scenario() -> None:
    roles = {p.name for p in (ROOT / "roles").iterdir()}
    assert roles == {*ON_THEIR_OWN, *ON_THE_REHEARSAL}


@pytest.mark.parametrize("scenario", [s for s in ON_THEIR_OWN if s not in WITH_PROGRAMS])
def test_scenario(scenario: str, running: dict[str, Future[None]]) -> None:
    running[scenario].result()


@pytest.mark.parametrize("scenario", WITH_PROGRAMS)
def test_scenario_with_programs(scenario: str, running: dict[str, Future[None]]) -> None:
    running[scenario].result()
