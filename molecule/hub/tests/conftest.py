"""The shared rehearsal, opened for tests."""

import pytest
from on_facility import context, facility

from casa_install.verify.context import Context
from casa_install.verify.jupyter import UserSession

__all__ = ["context", "facility", "session"]


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
