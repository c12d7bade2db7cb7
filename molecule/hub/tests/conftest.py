"""The shared rehearsal, opened for tests."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from variables import INVENTORY

from casa_install.engine.lock import hold
from casa_install.facility import Facility
from casa_install.verify.context import Context
from casa_install.verify.jupyter import UserSession


@pytest.fixture(scope="session")
def facility() -> Iterator[Facility]:
    """Held like in an installation: nobody changes the site meanwhile."""
    opened = Facility.open(INVENTORY.resolve())
    with hold(opened.site.state / "lock"):
        yield opened


@pytest.fixture
async def context(facility: Facility) -> AsyncIterator[Context]:
    opened = Context(facility)
    yield opened
    opened.close()


@pytest.fixture
def session(context: Context) -> "type[Session]":
    Session.context = context
    return Session


class Session(UserSession):
    """A session at the rehearsal's hub."""

    context: Context

    def __init__(self, user: str, password: str | None = None) -> None:
        context = self.context
        known = context.facility.credentials.secret("hub-dummy-password", 8)
        url = f"https://hub.{context.site.settings.domain}"
        super().__init__(url, user, password or known, context.ca_file, context.addresses)
