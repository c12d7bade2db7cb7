"""Every role's Molecule scenario on virtual hosts of its own: converge, idempotence, verify, removal."""

from __future__ import annotations

import pytest

from tests.scenarios import ON_THE_REHEARSAL, ON_THEIR_OWN, ROOT, WITH_PROGRAMS, run_scenario

WITH = {"cilium": "kubernetes", "storage": "kubernetes", "resolver": "dns", "xrootd": "xcache"}
"""Roles that mean nothing alone -> the scenario that converges, checks and removes them."""


def test_every_role_has_a_scenario() -> None:
    roles = {p.name for p in (ROOT / "roles").iterdir()}
    assert {WITH.get(role, role) for role in roles} <= {*ON_THEIR_OWN, *ON_THE_REHEARSAL}


@pytest.mark.parametrize("scenario", [s for s in ON_THEIR_OWN if s not in WITH_PROGRAMS])
def test_scenario(scenario: str) -> None:
    run_scenario(scenario)


@pytest.mark.parametrize("scenario", WITH_PROGRAMS)
def test_scenario_with_programs(scenario: str) -> None:
    run_scenario(scenario)
