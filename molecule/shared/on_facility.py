"""Fixtures of tests on the shared rehearsal: the facility and what its checks use."""

from collections.abc import AsyncIterator, Iterator

import pytest
from facility import INVENTORY

from casa_install.engine.lock import hold
from casa_install.facility import Facility
from casa_install.verify.context import Context


@pytest.fixture(scope="session")
def facility() -> Iterator[Facility]:
    """Held like in an installation: nobody changes the site meanwhile."""
    opened = Facility.open(INVENTORY.resolve())
    with hold(opened.site.state / "lock"):
        yield opened


@pytest.fixture
async def context(facility: Facility) -> AsyncIterator[Context]:
    """What checks may use."""
    opened = Context(facility)
    yield opened
    opened.close()
