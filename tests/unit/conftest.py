"""What unit tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from casa_install.site.load import load_site
from casa_install.site.model import Site

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rehearsal() -> Site:
    """The embedded rehearsal's Site."""
    return load_site(ROOT / "inventory" / "rehearsal" / "site.ini")
