"""The shared rehearsal, opened for tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
sys.path.insert(0, str(Path(__file__).parents[2] / "shared"))

from on_facility import context, facility

__all__ = ["context", "facility"]
