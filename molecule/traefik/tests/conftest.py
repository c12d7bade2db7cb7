"""The shared rehearsal, opened for tests."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[2] / "hub"))

from variables import INVENTORY

from casa_install.facility import Facility
from casa_install.verify.context import Context


@pytest.fixture(scope="session")
def facility() -> Facility:
    return Facility.open(INVENTORY.resolve())


@pytest.fixture
async def context(facility: Facility) -> AsyncIterator[Context]:
    opened = Context(facility)
    yield opened
    opened.close()
